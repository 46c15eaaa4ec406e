using System.Net;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Bench;

/// <summary>The client's side of TLS: begins handshakes, and explains why one has failed. Thread-safe.</summary>
internal sealed unsafe class TlsClientContext : IDisposable
{
    private readonly TlsClientOptions _options;
    private readonly TlsContext _context;

    /// <summary>Reads the authorities.</summary>
    /// <exception cref="IOException">They, or the library, cannot be used.</exception>
    public TlsClientContext(TlsClientOptions options)
    {
        if (OpenSsl.Load() is { } missing) throw new IOException(missing);
        _options = options;
        _context = new TlsContext(OpenSsl.ClientMethod());
        _ = OpenSsl.Control(_context, OpenSsl.ControlMinProtocol, options.Version == 0 ? OpenSsl.Tls12 : options.Version, 0);
        _ = OpenSsl.Control(_context, OpenSsl.ControlMaxProtocol, options.Version, 0);
        (string suites, string ciphers) = Suites(options.Cipher);
        _ = OpenSsl.SetSuites(_context, suites);
        _ = OpenSsl.SetCiphers(_context, ciphers);
        _ = OpenSsl.Control(_context, OpenSsl.ControlMode, OpenSsl.ModeReleaseBuffers, 0);
        HandshakeSecrets.ReportFrom(_context);
        if (!options.ChecksCertificate) return;

        OpenSsl.SetVerification(_context, OpenSsl.VerifyPeer, null);
        OpenSsl.ClearErrors();
        if (options.Authorities is not { } file) _ = OpenSsl.AddSystemAuthorities(_context);
        else if (!OpenSsl.TryAddAuthorities(_context, file)) throw Unreadable(file);
    }

    /// <summary>Begins a handshake on a connected socket, which is non-blocking and stays the caller's.</summary>
    /// <returns>The session, which the caller frees; null when there is no memory.</returns>
    public TlsSession? Open(int descriptor)
    {
        nint ssl = OpenSsl.New(_context);
        if (ssl == 0) return null;
        if (!TlsTransport.TryConnect(ssl, descriptor))
        {
            OpenSsl.Free(ssl);
            return null;
        }

        OpenSsl.SetConnectState(ssl);
        if (_options.ChecksCertificate) _ = OpenSsl.ExpectHost(ssl, _options.ServerName);

        // "Literal IPv4 and IPv6 addresses are not permitted" (RFC 6066, section 3).
        if (!IPAddress.TryParse(_options.ServerName, out _)) OpenSsl.SendServerName(ssl, _options.ServerName);
        return new TlsSession(ssl);
    }

    /// <summary>Why a handshake has failed that the calling thread has just gone on with.</summary>
    public string Explain(TlsSession session)
    {
        nint verification = _options.ChecksCertificate ? OpenSsl.Verification(session.Handle) : OpenSsl.CertificateOk;
        return verification switch
        {
            OpenSsl.CertificateOk => $"a TLS handshake failed: {OpenSsl.DescribeError()}",
            OpenSsl.CertificateForAnotherHost or OpenSsl.CertificateForAnotherAddress =>
                $"the server's certificate is refused: it is not for {_options.ServerName}; --server-name names another host",
            _ => $"the server's certificate is refused: {OpenSsl.DescribeVerification(verification)}; --ca names other authorities",
        };
    }

    /// <inheritdoc/>
    public void Dispose() => _context.Dispose();

    /// <summary>What is offered, with TLS 1.3 and with 1.2: what records can be protected with here.</summary>
    private static (string Suites, string Ciphers) Suites(AeadAlgorithm? only) => only switch
    {
        AeadAlgorithm.Aes128Gcm => ("TLS_AES_128_GCM_SHA256", "ECDHE+AESGCM+AES128"),
        AeadAlgorithm.Aes256Gcm => ("TLS_AES_256_GCM_SHA384", "ECDHE+AESGCM+AES256"),
        AeadAlgorithm.ChaCha20Poly1305 => ("TLS_CHACHA20_POLY1305_SHA256", "ECDHE+CHACHA20"),
        _ => ("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", "ECDHE+AESGCM:ECDHE+CHACHA20"),
    };

    private static IOException Unreadable(string file)
    {
        string why = File.Exists(file) ? "it is not readable as PEM with certificates" : "there is no such file";
        return new IOException($"no authorities can be read from {file}: {why}");
    }
}
