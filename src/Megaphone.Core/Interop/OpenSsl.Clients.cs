using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <content>The client's end of TLS.</content>
internal static unsafe partial class OpenSsl
{
    public const int ControlMaxProtocol = 124;
    public const int VerifyPeer = 1;
    public const int CertificateOk = 0;
    public const int CertificateForAnotherHost = 62;
    public const int CertificateForAnotherAddress = 64;

    private const int ControlServerName = 55;
    private const int ServerNameIsHost = 0;

    [LibraryImport(Ssl, EntryPoint = "TLS_client_method")]
    public static partial nint ClientMethod();

    [LibraryImport(Ssl, EntryPoint = "SSL_set_connect_state")]
    public static partial void SetConnectState(nint ssl);

    /// <summary>Adds the authorities in a PEM file to those that certificates may come from.</summary>
    public static bool TryAddAuthorities(TlsContext context, string file) => LoadAuthorities(context, file, null) == 1;

    /// <summary>Adds the system's authorities: where they are, OpenSSL was told when it was built, or by <c>SSL_CERT_FILE</c>.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_default_verify_paths")]
    public static partial int AddSystemAuthorities(TlsContext context);

    /// <summary>Whether the peer's certificate is checked: <see cref="VerifyPeer"/>, or 0.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_verify")]
    public static partial void SetVerification(TlsContext context, int mode, void* callback);

    /// <summary>Names the host, or the address, that the peer's certificate must be for.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_set1_host", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ExpectHost(nint ssl, string host);

    /// <summary>Names the server in the client's first message (RFC 6066, section 3).</summary>
    public static void SendServerName(nint ssl, string host) => _ = ControlSession(ssl, ControlServerName, ServerNameIsHost, host);

    /// <summary>The result of the check of the peer's certificate: <see cref="CertificateOk"/>, or why it was refused.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_get_verify_result")]
    public static partial nint Verification(nint ssl);

    /// <summary>Why a certificate was refused, as OpenSSL describes it.</summary>
    public static string DescribeVerification(nint result) => Marshal.PtrToStringUTF8((nint)VerificationText(result))!;

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_load_verify_locations", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LoadAuthorities(TlsContext context, string file, string? folder);

    [LibraryImport(Ssl, EntryPoint = "SSL_ctrl", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint ControlSession(nint ssl, int command, nint number, string? text);

    [LibraryImport(Crypto, EntryPoint = "X509_verify_cert_error_string")]
    private static partial byte* VerificationText(nint result);
}
