using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Tests.Tls;

/// <summary>What OpenSSL's end of any number of connections has in common: version, suite, and a server's certificate.</summary>
internal sealed unsafe partial class OpenSslContext : IDisposable
{
    private const string Ssl = "libssl.so.3";
    private const int ControlSetTicketKeys = 59;
    private const int TicketKeyBytes = 80;

    /// <param name="isTls13">Which version is spoken.</param>
    /// <param name="algorithm">What is agreed on.</param>
    /// <param name="certificate">A server's certificate and key; null: it is a client.</param>
    public OpenSslContext(bool isTls13, AeadAlgorithm algorithm, (string Certificate, string Key)? certificate)
    {
        string suite = algorithm switch
        {
            AeadAlgorithm.Aes128Gcm => isTls13 ? "TLS_AES_128_GCM_SHA256" : "ECDHE-ECDSA-AES128-GCM-SHA256",
            AeadAlgorithm.Aes256Gcm => isTls13 ? "TLS_AES_256_GCM_SHA384" : "ECDHE-ECDSA-AES256-GCM-SHA384",
            _ => isTls13 ? "TLS_CHACHA20_POLY1305_SHA256" : "ECDHE-ECDSA-CHACHA20-POLY1305",
        };
        IsServer = certificate is not null;
        int version = isTls13 ? OpenSsl.Tls13 : OpenSsl.Tls12;
        _ = OpenSsl.Control(Handle, OpenSsl.ControlMinProtocol, version, 0);
        _ = OpenSsl.Control(Handle, OpenSsl.ControlMaxProtocol, version, 0);
        _ = isTls13 ? SetSuites13(Handle, suite) : OpenSsl.SetCiphers(Handle, suite);
        HandshakeSecrets.ReportFrom(Handle);

        // All servers have the same key for their tickets, so that a session may be resumed at another one.
        byte* ticketKey = stackalloc byte[TicketKeyBytes];
        _ = OpenSsl.Control(Handle, ControlSetTicketKeys, TicketKeyBytes, (nint)ticketKey);
        if (certificate is not { } files) return;
        _ = UseCertificate(Handle, files.Certificate, OpenSsl.FileTypePem);
        _ = OpenSsl.UsePrivateKey(Handle, files.Key, OpenSsl.FileTypePem);
    }

    /// <summary>The SSL_CTX object.</summary>
    public TlsContext Handle { get; } = new(AnyMethod());

    public bool IsServer { get; }

    /// <summary>As a server it gives no tickets, and refuses further handshakes.</summary>
    public void AllowHandshakeOnly()
    {
        _ = OpenSsl.SetOptions(Handle, OpenSsl.OptionNoRenegotiation | OpenSsl.OptionNoTicket);
        _ = OpenSsl.SetTickets(Handle, 0);
    }

    public void Dispose() => Handle.Dispose();

    [LibraryImport(Ssl, EntryPoint = "TLS_method")]
    private static partial nint AnyMethod();

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_ciphersuites", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetSuites13(TlsContext context, string suites);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_certificate_file", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UseCertificate(TlsContext context, string file, int type);
}
