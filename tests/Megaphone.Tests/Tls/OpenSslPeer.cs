using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Tests.Tls;

/// <summary>An end of a connection that OpenSSL handles, without a socket: what it sends is taken, what it is sent is given.</summary>
internal sealed unsafe partial class OpenSslPeer : IDisposable
{
    private readonly OpenSslContext? _owned;
    private readonly nint _ssl;
    private readonly nint _input = OpenSsl.NewBio(MemoryMethod());
    private readonly nint _output = OpenSsl.NewBio(MemoryMethod());

    // An array, as its memory does not move.
    private readonly HandshakeSecrets[] _secrets = GC.AllocateArray<HandshakeSecrets>(1, pinned: true);

    /// <summary>Begins.</summary>
    /// <param name="isTls13">Which version is spoken.</param>
    /// <param name="algorithm">What is agreed on.</param>
    /// <param name="certificate">A server's certificate and key; null: it is a client.</param>
    public OpenSslPeer(bool isTls13, AeadAlgorithm algorithm, (string Certificate, string Key)? certificate)
        : this(new OpenSslContext(isTls13, algorithm, certificate), ownsContext: true)
    {
    }

    /// <summary>Begins.</summary>
    /// <param name="context">What it has in common with others.</param>
    /// <param name="ownsContext">Whether the context goes with it.</param>
    public OpenSslPeer(OpenSslContext context, bool ownsContext = false)
    {
        _owned = ownsContext ? context : null;
        _ssl = OpenSsl.New(context.Handle);
        OpenSsl.SetBios(_ssl, _input, _output);
        if (context.IsServer) OpenSsl.SetAcceptState(_ssl);
        else OpenSsl.SetConnectState(_ssl);
    }

    /// <summary>Whether the handshake has resumed a session.</summary>
    public bool IsResumed => OpenSsl.SessionReused(_ssl) == 1;

    /// <summary>Resumes the session of another client.</summary>
    public void Resume(OpenSslPeer other)
    {
        nint session = TakeSession(other._ssl);
        _ = SetSession(_ssl, session);
        FreeSession(session);
    }

    /// <summary>Takes a suite of TLS 1.2 in place of the algorithm's.</summary>
    public void UseSuite(string suite) => _ = SetSuites12(_ssl, suite);

    /// <summary>Reads as much as there is, instead of one record.</summary>
    public void ReadAhead() => SetReadAhead(_ssl, 1);

    /// <summary>Goes on with the handshake.</summary>
    /// <returns>Whether it is done.</returns>
    public bool Handshake()
    {
        bool isDone = _secrets[0].Handshake(_ssl) == 1;
        HandshakeBytes = Take();
        _secrets[0].Sent(HandshakeBytes);
        return isDone;
    }

    /// <summary>What the last step of the handshake has sent.</summary>
    public byte[] HandshakeBytes { get; private set; } = [];

    /// <summary>Leaves the connection, whose handshake is done, to our records.</summary>
    public bool TryTakeOver(ref TlsConnectionState state) => _secrets[0].TryTakeOver(_ssl, ref state);

    /// <summary>Gives it what it is sent.</summary>
    public void Give(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes) _ = WriteBio(_input, start, bytes.Length);
    }

    /// <summary>Takes what it sends.</summary>
    public byte[] Take()
    {
        List<byte> taken = [];
        byte* buffer = stackalloc byte[4096];
        for (int count; (count = ReadBio(_output, buffer, 4096)) > 0;) taken.AddRange(new ReadOnlySpan<byte>(buffer, count));
        return [.. taken];
    }

    /// <summary>Reads what data there is.</summary>
    /// <param name="end">Why there is no more: an error of SSL_get_error; <see cref="OpenSsl.ErrorWantRead"/> when all is well.</param>
    public byte[] Read(out int end)
    {
        List<byte> data = [];
        byte* buffer = stackalloc byte[4096];
        OpenSsl.ClearErrors();
        int count;
        while ((count = OpenSsl.Read(_ssl, buffer, 4096)) > 0) data.AddRange(new ReadOnlySpan<byte>(buffer, count));
        end = OpenSsl.GetError(_ssl, count);
        return [.. data];
    }

    public void Write(ReadOnlySpan<byte> data)
    {
        fixed (byte* start = data) _ = OpenSsl.Write(_ssl, start, data.Length);
    }

    public void UpdateKey(bool asks)
    {
        _ = UpdateKeys(_ssl, asks ? 1 : 0);
        _ = OpenSsl.Handshake(_ssl);
    }

    public void AskForRenegotiation()
    {
        _ = Renegotiate(_ssl);
        _ = OpenSsl.Handshake(_ssl);
    }

    public void End() => _ = OpenSsl.Shutdown(_ssl);

    public void Dispose()
    {
        OpenSsl.Free(_ssl);
        _owned?.Dispose();
        _secrets[0].Clear();
    }
}
