using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>The server's side of TLS: makes sessions with the current certificates, and loads new ones.</summary>
/// <remarks>
/// Thread-safe. A session keeps the certificates that it began with: a reload does not affect established connections, and the memory
/// of replaced certificates is freed with the last session that uses them.
/// </remarks>
internal sealed unsafe class TlsServer
{
    /// <summary>
    /// Suites of TLS 1.2: forward secrecy and authenticated encryption only. All suites of TLS 1.3 are like that. AES-128 first: it takes less time.
    /// </summary>
    private const string Tls12Ciphers = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20";

    /// <summary>Suites of TLS 1.3, all of them. AES-128 first here as well.</summary>
    private const string Tls13Suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";

    private readonly TlsServerOptions _options;

    /// <summary>
    /// What OpenSSL gives back to the callbacks. Never freed: contexts that connections still use may call as long as the
    /// process lives, and there is one server in it.
    /// </summary>
    private readonly nint _self;

    private volatile CertificateSet _current;

    /// <summary>Reads the certificates.</summary>
    /// <exception cref="CertificateException">They, or the library, cannot be used.</exception>
    public TlsServer(TlsServerOptions options)
    {
        if (OpenSsl.Load() is { } missing) throw new CertificateException([missing]);
        _options = options;
        _self = GCHandle.ToIntPtr(GCHandle.Alloc(this, GCHandleType.Weak));
        _current = Load();
    }

    /// <summary>The protocol that the client may name whose handshake this thread goes on with. Set before each step.</summary>
    [field: ThreadStatic]
    public static TlsProtocol Expects { get; set; }

    private static ReadOnlySpan<byte> Protocol => Expects == TlsProtocol.Http ? "http/1.1"u8 : "xmpp-client"u8;

    /// <summary>Who opens and seals records when a handshake is done.</summary>
    public RecordLayer Records => _options.Records;

    /// <summary>The files that certificates are read from.</summary>
    public IReadOnlyList<CertificateFiles> Files => _options.Certificates;

    /// <summary>The certificates in use.</summary>
    public IReadOnlyList<CertificateChain> Certificates => _current.Chains;

    /// <summary>Reads the files again, for sessions that begin from now on.</summary>
    /// <exception cref="CertificateException">They cannot be used; those in use stay in use.</exception>
    public void Reload() => _current = Load();

    /// <summary>Whether a certificate covers the host, whose name is normalized.</summary>
    public bool Covers(string host) => _current.Find(host) is not null;

    /// <summary>Begins a session on a descriptor, which must be non-blocking.</summary>
    /// <param name="descriptor">The socket; it stays the caller's.</param>
    /// <param name="host">The host that the client has named before, normalized; null: it may name one with SNI. If SNI
    /// names another one that a certificate covers, that one counts.</param>
    /// <returns>The session, which the caller frees; null when there is no memory.</returns>
    public TlsSession? Open(int descriptor, string? host)
    {
        CertificateSet set = _current;
        nint ssl = OpenSsl.New((host is null ? null : set.Find(host)) ?? set.Front);
        if (ssl == 0) return null;
        if (!TlsTransport.TryConnect(ssl, descriptor))
        {
            OpenSsl.Free(ssl);
            return null;
        }

        OpenSsl.SetAcceptState(ssl);
        return new TlsSession(ssl);
    }

    private CertificateSet Load() => CertificateSet.Load(_options, DateTimeOffset.UtcNow, Configure);

    private void Configure(TlsContext context, bool isFront)
    {
        // Nothing is read ahead of a record, so that behind the handshake OpenSSL holds nothing; and a call that has read a handshake
        // message returns, instead of reading on until there is data.
        _ = OpenSsl.Control(context, OpenSsl.ControlClearMode, OpenSsl.ModeAutoRetry, 0);
        _ = OpenSsl.Control(
            context, OpenSsl.ControlMode,
            OpenSsl.ModePartialWrite | OpenSsl.ModeMovingWriteBuffer | OpenSsl.ModeReleaseBuffers, 0);
        _ = OpenSsl.Control(context, OpenSsl.ControlMinProtocol, _options.AllowTls12 ? OpenSsl.Tls12 : OpenSsl.Tls13, 0);
        _ = OpenSsl.Control(context, OpenSsl.ControlSessionCacheMode, 0, 0);

        // Our order counts, but for clients that name ChaCha20 first: they have no instructions for AES.
        const ulong Order = OpenSsl.OptionServerPreference | OpenSsl.OptionPrioritizeChaCha;
        _ = OpenSsl.SetOptions(context, OpenSsl.OptionNoRenegotiation | Order | (_options.Tickets ? 0 : OpenSsl.OptionNoTicket));
        _ = OpenSsl.SetTickets(context, _options.Tickets ? 1u : 0);
        _ = OpenSsl.SetCiphers(context, Tls12Ciphers);
        _ = OpenSsl.SetSuites(context, Tls13Suites);
        if (_options.Records == RecordLayer.Own) HandshakeSecrets.ReportFrom(context);
        TicketKeys.Use(context);
        OpenSsl.SetAlpnCallback(context, &ChooseProtocol, 0);
        delegate* unmanaged[Cdecl]<nint, int*, nint, int> choose = isFront ? &ChooseCertificate : &ChooseOtherCertificate;
        _ = OpenSsl.ControlCallback(context, OpenSsl.ControlServerNameCallback, choose);
        _ = OpenSsl.Control(context, OpenSsl.ControlServerNameArgument, 0, _self);
    }

    /// <summary>The client's first message has arrived. It must name a host that a certificate covers, or none.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ChooseCertificate(nint ssl, int* alert, nint self)
    {
        *alert = OpenSsl.AlertUnrecognizedName;
        return Choose(ssl, self, unknown: OpenSsl.ExtensionAlertFatal);
    }

    /// <summary>The same where the client has named its host before the handshake: a name that no certificate covers is ignored.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ChooseOtherCertificate(nint ssl, int* alert, nint self) =>
        Choose(ssl, self, unknown: OpenSsl.ExtensionNoAcknowledge);

    private static int Choose(nint ssl, nint self, int unknown)
    {
        string? name = Marshal.PtrToStringUTF8((nint)OpenSsl.ServerName(ssl, 0));
        if (name is null || GCHandle.FromIntPtr(self).Target is not TlsServer server) return OpenSsl.ExtensionNoAcknowledge;
        if (HostName.Normalize(name) is not { } host || server._current.Find(host) is not { } context) return unknown;
        _ = OpenSsl.SetContext(ssl, context);
        return OpenSsl.ExtensionOk;
    }

    /// <summary>The client names the protocols that it speaks (RFC 7301): ours must be among them.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ChooseProtocol(nint ssl, byte** chosen, byte* chosenLength, byte* offered, uint length, nint argument)
    {
        for (uint at = 0; at < length && at + 1 + offered[at] <= length; at += 1u + offered[at])
        {
            if (!new ReadOnlySpan<byte>(offered + at + 1, offered[at]).SequenceEqual(Protocol)) continue;
            *chosen = offered + at + 1;
            *chosenLength = offered[at];
            return OpenSsl.ExtensionOk;
        }

        // no_application_protocol: a browser that was redirected to XMPP must not take an answer for one to HTTP.
        return OpenSsl.ExtensionAlertFatal;
    }
}
