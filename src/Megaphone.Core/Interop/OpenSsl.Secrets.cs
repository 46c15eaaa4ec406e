using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <content>What a handshake has agreed on: for its records, which are protected without OpenSSL.</content>
internal static unsafe partial class OpenSsl
{
    /// <summary>Type that the message callback gives to the header of a record.</summary>
    public const int RecordHeader = 0x100;

    /// <summary>Sets what is called, by the thread that handshakes, with a line of the key log for each secret: <c>NAME RANDOM SECRET</c>.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_keylog_callback")]
    public static partial void SetKeyLogCallback(TlsContext context, delegate* unmanaged[Cdecl]<nint, byte*, void> callback);

    /// <summary>
    /// Sets what is called with each message, and each record's header, that is sent (the first argument is not 0) or received.
    /// </summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_msg_callback")]
    public static partial void SetMessageCallback(
        TlsContext context, delegate* unmanaged[Cdecl]<int, int, int, byte*, nuint, nint, nint, void> callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_is_server")]
    [SuppressGCTransition]
    public static partial int IsServer(nint ssl);

    /// <summary>The number of a suite in IANA's registry.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CIPHER_get_protocol_id")]
    [SuppressGCTransition]
    public static partial ushort CipherNumber(nint cipher);

    /// <summary>The session, which stays the connection's.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_get_session")]
    public static partial nint Session(nint ssl);

    /// <summary>Copies the master secret of TLS 1.2.</summary>
    /// <returns>How many bytes were copied.</returns>
    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_get_master_key")]
    public static partial nuint MasterSecret(nint session, byte* secret, nuint length);

    /// <summary>Copies <c>ClientHello.random</c>.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_get_client_random")]
    public static partial nuint ClientRandom(nint ssl, byte* random, nuint length);

    /// <summary>Copies <c>ServerHello.random</c>.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_get_server_random")]
    public static partial nuint ServerRandom(nint ssl, byte* random, nuint length);
}
