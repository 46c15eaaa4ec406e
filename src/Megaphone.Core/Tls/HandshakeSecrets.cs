using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>
/// What OpenSSL reports of one handshake, at either end, and what of it a <see cref="TlsConnectionState"/> needs to go on in OpenSSL's place.
/// About 160 bytes, plain data; zero is the beginning.
/// </summary>
/// <remarks>
/// <para>Use: <see cref="ReportFrom"/> once for each context; <see cref="Handshake"/> until it is done; <see cref="TryTakeOver"/>; then free the
/// SSL object, which sends nothing and leaves the descriptor open; <see cref="Clear"/>, on every path.</para>
/// <para>It holds secrets: it belongs in memory that does not move, and is passed by reference.</para>
/// </remarks>
internal unsafe struct HandshakeSecrets
{
    /// <summary>
    /// Bytes of <c>Finished</c> in a record of TLS 1.2 with AES-GCM, behind the header: explicit nonce, 16 bytes of message, tag. This is what an
    /// end sends last in its handshake.
    /// </summary>
    private const int FinishedBytes = 8 + 16 + AeadAlgorithms.TagBytes;

    private const int MasterSecretBytes = 48;

    /// <summary>Whose handshake this thread goes on with: callbacks come without any other sign of it.</summary>
    [ThreadStatic]
    private static HandshakeSecrets* _current;

    private fixed byte _clientSecret[AeadAlgorithms.MaxHashBytes];
    private fixed byte _serverSecret[AeadAlgorithms.MaxHashBytes];
    private fixed byte _lastSent[FinishedBytes];
    private int _clientSecretBytes;
    private int _serverSecretBytes;

    /// <summary>Records that the client, and the server, has sent with its present key.</summary>
    private ulong _clientRecords, _serverRecords;

    /// <summary>Makes a context's sessions report their handshakes. Before its first session.</summary>
    public static void ReportFrom(TlsContext context)
    {
        OpenSsl.SetKeyLogCallback(context, &OnSecret);
        OpenSsl.SetMessageCallback(context, &OnMessage);
    }

    /// <summary>
    /// Notes what has gone out in the handshake that the calling thread goes on with. For the BIO's write; in others, it does nothing.
    /// </summary>
    public static void NoteSent(ReadOnlySpan<byte> bytes)
    {
        if (_current != null) _current->Sent(bytes);
    }

    /// <summary>Goes on with the handshake, which must report to this from its first step on.</summary>
    /// <returns>What <see cref="OpenSsl.Handshake"/> does; errno is left as it is.</returns>
    public int Handshake(nint ssl)
    {
        fixed (HandshakeSecrets* self = &this)
        {
            _current = self;
            int result = OpenSsl.Handshake(ssl);
            _current = null;
            return result;
        }
    }

    /// <summary>Notes what has gone out, where its sender knows whose handshake it belongs to.</summary>
    public void Sent(ReadOnlySpan<byte> bytes)
    {
        Span<byte> last = MemoryMarshal.CreateSpan(ref _lastSent[0], FinishedBytes);
        if (bytes.Length < FinishedBytes) last[bytes.Length..].CopyTo(last);
        else bytes = bytes[^FinishedBytes..];
        bytes.CopyTo(last[^bytes.Length..]);
    }

    /// <summary>Takes over a connection whose handshake is done.</summary>
    /// <param name="ssl">OpenSSL's object, which is to be freed whatever the result is: it must not read or write any more.</param>
    /// <param name="state">Zero. With the result false, it still is.</param>
    /// <returns>False when OpenSSL holds bytes that it has not delivered, or the records are protected in a way that is not known here.</returns>
    public bool TryTakeOver(nint ssl, ref TlsConnectionState state)
    {
        if (OpenSsl.HasPending(ssl) != 0) return false;
        if (AeadAlgorithms.OfSuite(OpenSsl.CipherNumber(OpenSsl.CurrentCipher(ssl))) is not { } algorithm) return false;
        bool isServer = OpenSsl.IsServer(ssl) != 0;
        (ulong read, ulong written) = isServer ? (_clientRecords, _serverRecords) : (_serverRecords, _clientRecords);
        if (OpenSsl.Version(ssl) != OpenSsl.Tls13) return TryTakeOver12(ssl, algorithm, isServer, read, written, ref state);

        ReadOnlySpan<byte> client = MemoryMarshal.CreateReadOnlySpan(ref _clientSecret[0], _clientSecretBytes);
        ReadOnlySpan<byte> server = MemoryMarshal.CreateReadOnlySpan(ref _serverSecret[0], _serverSecretBytes);
        if (client.Length != algorithm.HashBytes() || server.Length != client.Length) return false;
        state.UseTls13(algorithm, isServer, client, server, read, written);
        return true;
    }

    /// <summary>Zeroes everything; it may be used for another handshake.</summary>
    public void Clear() => CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(new Span<HandshakeSecrets>(ref this)));

    private bool TryTakeOver12(nint ssl, AeadAlgorithm algorithm, bool isServer, ulong read, ulong written, ref TlsConnectionState state)
    {
        // Each end has sent Finished.
        if (read == 0 || written == 0) return false;
        byte* client = stackalloc byte[TlsKeySchedule.RandomBytes], server = stackalloc byte[TlsKeySchedule.RandomBytes];
        byte* master = stackalloc byte[MasterSecretBytes];
        Span<byte> secret = new(master, MasterSecretBytes);
        if (OpenSsl.MasterSecret(OpenSsl.Session(ssl), master, MasterSecretBytes) != MasterSecretBytes) return false;
        _ = OpenSsl.ClientRandom(ssl, client, TlsKeySchedule.RandomBytes);
        _ = OpenSsl.ServerRandom(ssl, server, TlsKeySchedule.RandomBytes);
        ulong explicitNonce = BinaryPrimitives.ReadUInt64BigEndian(MemoryMarshal.CreateReadOnlySpan(ref _lastSent[0], FinishedBytes));
        state.UseTls12(
            algorithm, isServer, secret, new ReadOnlySpan<byte>(client, TlsKeySchedule.RandomBytes),
            new ReadOnlySpan<byte>(server, TlsKeySchedule.RandomBytes), read, written, explicitNonce + 1);
        CryptographicOperations.ZeroMemory(secret);
        return true;
    }

    private void KeepSecret(ReadOnlySpan<byte> line)
    {
        bool isClients = line.StartsWith("CLIENT_TRAFFIC_SECRET_0 "u8);
        if (!isClients && !line.StartsWith("SERVER_TRAFFIC_SECRET_0 "u8)) return;
        Span<byte> secret = MemoryMarshal.CreateSpan(ref isClients ? ref _clientSecret[0] : ref _serverSecret[0], AeadAlgorithms.MaxHashBytes);
        _ = Convert.FromHexString(line[(line.LastIndexOf((byte)' ') + 1)..], secret, out _, out int count);
        (isClients ? ref _clientSecretBytes : ref _serverSecretBytes) = count;
        (isClients ? ref _clientRecords : ref _serverRecords) = 0;
    }

    /// <summary>Counts a record with its sender's key: in TLS 1.2 that is another one behind <c>change_cipher_spec</c>.</summary>
    private void CountRecord(bool isClients, TlsContentType type)
    {
        ref ulong records = ref isClients ? ref _clientRecords : ref _serverRecords;
        if (type == TlsContentType.ChangeCipherSpec) records = 0;
        else records++;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnSecret(nint ssl, byte* line)
    {
        if (_current != null) _current->KeepSecret(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(line));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnMessage(int sent, int version, int type, byte* bytes, nuint length, nint ssl, nint argument)
    {
        if (type == OpenSsl.RecordHeader && length > 0 && _current != null)
            _current->CountRecord(isClients: (sent != 0) != (OpenSsl.IsServer(ssl) != 0), (TlsContentType)bytes[0]);
    }
}
