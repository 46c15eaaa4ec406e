using System.Runtime.InteropServices;

namespace Megaphone.Tests.Tls;

/// <content>The functions of OpenSSL that only this peer uses.</content>
internal sealed unsafe partial class OpenSslPeer
{
    private const string Ssl = "libssl.so.3";
    private const string Crypto = "libcrypto.so.3";

    [LibraryImport(Ssl, EntryPoint = "SSL_set_cipher_list", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetSuites12(nint ssl, string suites);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_read_ahead")]
    private static partial void SetReadAhead(nint ssl, int on);

    [LibraryImport(Ssl, EntryPoint = "SSL_get1_session")]
    private static partial nint TakeSession(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_session")]
    private static partial int SetSession(nint ssl, nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_free")]
    private static partial void FreeSession(nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_key_update")]
    private static partial int UpdateKeys(nint ssl, int kind);

    [LibraryImport(Ssl, EntryPoint = "SSL_renegotiate")]
    private static partial int Renegotiate(nint ssl);

    [LibraryImport(Crypto, EntryPoint = "BIO_s_mem")]
    private static partial nint MemoryMethod();

    [LibraryImport(Crypto, EntryPoint = "BIO_read")]
    private static partial int ReadBio(nint bio, byte* into, int count);

    [LibraryImport(Crypto, EntryPoint = "BIO_write")]
    private static partial int WriteBio(nint bio, byte* bytes, int count);
}
