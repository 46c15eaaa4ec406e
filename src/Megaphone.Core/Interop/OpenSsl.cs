using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>The functions of OpenSSL 3 that are used for TLS. Nothing is loaded before <see cref="Load"/>.</summary>
/// <remarks>
/// A call that fails leaves its errors in a queue of the calling thread; a caller that reads the queue afterwards clears it
/// before the call. Handles are pointers: <c>ssl</c> an SSL, <c>context</c> an SSL_CTX. Functions that only read or set a field are
/// called without a GC transition, which costs more than such a call does.
/// </remarks>
internal static unsafe partial class OpenSsl
{
    public const int ControlMode = 33;
    public const int ControlSessionCacheMode = 44;
    public const int ControlServerNameCallback = 53;
    public const int ControlServerNameArgument = 54;
    public const int ControlMinProtocol = 123;
    public const int ControlClearMode = 78;
    public const int ModePartialWrite = 1;
    public const int ModeMovingWriteBuffer = 2;
    public const int ModeAutoRetry = 4;
    public const int ModeReleaseBuffers = 0x10;
    public const int KeyUpdateNone = -1;
    public const ulong OptionNoTicket = 1UL << 14;
    public const ulong OptionPrioritizeChaCha = 1UL << 21;
    public const ulong OptionServerPreference = 1UL << 22;
    public const ulong OptionNoRenegotiation = 1UL << 30;
    public const int ErrorWantRead = 2;
    public const int ErrorWantWrite = 3;
    public const int ErrorSystemCall = 5;
    public const int ErrorZeroReturn = 6;
    public const int ExtensionOk = 0;
    public const int ExtensionAlertFatal = 2;
    public const int ExtensionNoAcknowledge = 3;
    public const int AlertUnrecognizedName = 112;
    public const int FileTypePem = 1;
    public const int Tls12 = 0x0303;
    public const int Tls13 = 0x0304;
    public const int NoHash = 0;
    public const int Md5 = 4;
    public const int Sha1 = 64;
    public const int Sha256 = 672;
    public const int ParameterUtf8 = 4;
    public const int ParameterOctets = 5;
    public const int BioSourceOrSink = 0x400;
    public const int BioControlFlush = 11;
    public const int BioRetryRead = 1 | 8;
    public const int BioRetryWrite = 2 | 8;
    public const int BioRetryFlags = 1 | 2 | 4 | 8;

    private const int ControlExtendedMasterSecret = 122;
    private const ulong InitializeWithoutExitHandler = 0x80000;

    private const string Ssl = "libssl.so.3";
    private const string Crypto = "libcrypto.so.3";

    /// <summary>Loads the library. To be called before everything else here; more than once does no harm.</summary>
    /// <returns>What is missing and what installs it; null when it is there.</returns>
    public static string? Load()
    {
        if (!NativeLibrary.TryLoad(Ssl, out _) || !NativeLibrary.TryLoad(Crypto, out _))
            return $"TLS needs OpenSSL 3 ({Ssl}, {Crypto}), which cannot be loaded; `apt-get install libssl3` installs it";

        // Else it frees all that it has when the process ends, while threads that have just ended free what it keeps for each of them.
        _ = Initialize(InitializeWithoutExitHandler, 0);
        return null;
    }

    [LibraryImport(Ssl, EntryPoint = "OPENSSL_init_ssl")]
    private static partial int Initialize(ulong options, nint settings);

    [LibraryImport(Ssl, EntryPoint = "TLS_server_method")]
    public static partial nint ServerMethod();

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_new")]
    public static partial nint NewContext(nint method);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_ctrl")]
    public static partial nint Control(TlsContext context, int command, nint number, nint pointer);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_callback_ctrl")]
    public static partial nint ControlCallback(TlsContext context, int command, void* callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_options")]
    public static partial ulong SetOptions(TlsContext context, ulong options);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_num_tickets")]
    public static partial int SetTickets(TlsContext context, nuint count);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_cipher_list", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetCiphers(TlsContext context, string ciphers);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_ciphersuites", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetSuites(TlsContext context, string suites);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_alpn_select_cb")]
    public static partial void SetAlpnCallback(
        TlsContext context, delegate* unmanaged[Cdecl]<nint, byte**, byte*, byte*, uint, nint, int> callback, nint argument);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_tlsext_ticket_key_evp_cb")]
    public static partial int SetTicketCallback(
        TlsContext context, delegate* unmanaged[Cdecl]<nint, byte*, byte*, nint, nint, int, int> callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_certificate_chain_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UseCertificateChain(TlsContext context, string file);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_PrivateKey_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UsePrivateKey(TlsContext context, string file, int type);

    [LibraryImport(Ssl, EntryPoint = "SSL_new")]
    public static partial nint New(TlsContext context);

    [LibraryImport(Ssl, EntryPoint = "SSL_free")]
    public static partial void Free(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_bio")]
    public static partial void SetBios(nint ssl, nint read, nint write);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_rbio")]
    public static partial nint ReadBio(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_key_update_type")]
    [SuppressGCTransition]
    public static partial int KeyUpdateType(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_accept_state")]
    public static partial void SetAcceptState(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_SSL_CTX")]
    public static partial nint SetContext(nint ssl, TlsContext context);

    [LibraryImport(Ssl, EntryPoint = "SSL_do_handshake", SetLastError = true)]
    public static partial int Handshake(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_read", SetLastError = true)]
    public static partial int Read(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_write", SetLastError = true)]
    public static partial int Write(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_shutdown", SetLastError = true)]
    public static partial int Shutdown(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_has_pending")]
    [SuppressGCTransition]
    public static partial int HasPending(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_error")]
    public static partial int GetError(nint ssl, int result);

    [LibraryImport(Ssl, EntryPoint = "SSL_version")]
    [SuppressGCTransition]
    public static partial int Version(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_version")]
    public static partial byte* VersionName(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_current_cipher")]
    public static partial nint CurrentCipher(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_CIPHER_get_name")]
    public static partial byte* CipherName(nint cipher);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_servername")]
    public static partial byte* ServerName(nint ssl, int type);

    [LibraryImport(Ssl, EntryPoint = "SSL_get0_alpn_selected")]
    public static partial void AlpnSelected(nint ssl, byte** name, uint* length);

    [LibraryImport(Ssl, EntryPoint = "SSL_export_keying_material")]
    public static partial int ExportKeyingMaterial(
        nint ssl, byte* into, nuint count, byte* label, nuint labelLength, byte* context, nuint contextLength, int hasContext);

    /// <summary>Our Finished message; copies as much of it as there is room for.</summary>
    /// <returns>The length of all of it.</returns>
    [LibraryImport(Ssl, EntryPoint = "SSL_get_finished")]
    public static partial nuint Finished(nint ssl, byte* into, nuint room);

    /// <summary>The peer's Finished message, likewise.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_get_peer_finished")]
    public static partial nuint PeerFinished(nint ssl, byte* into, nuint room);

    /// <summary>Whether TLS 1.2 has the extended master secret (RFC 7627).</summary>
    public static bool HasExtendedMasterSecret(nint ssl) => ControlSession(ssl, ControlExtendedMasterSecret, 0, null) == 1;

    [LibraryImport(Ssl, EntryPoint = "SSL_get_certificate")]
    public static partial nint Certificate(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_session_reused")]
    public static partial int SessionReused(nint ssl);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_new", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint NewBioMethod(int type, string name);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_set_read")]
    public static partial int SetBioRead(nint method, delegate* unmanaged[Cdecl]<nint, byte*, int, int> read);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_set_write")]
    public static partial int SetBioWrite(nint method, delegate* unmanaged[Cdecl]<nint, byte*, int, int> write);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_set_ctrl")]
    public static partial int SetBioControl(nint method, delegate* unmanaged[Cdecl]<nint, int, nint, void*, nint> control);

    [LibraryImport(Crypto, EntryPoint = "BIO_new")]
    public static partial nint NewBio(nint method);

    [LibraryImport(Crypto, EntryPoint = "BIO_set_data")]
    public static partial void SetBioData(nint bio, nint data);

    [LibraryImport(Crypto, EntryPoint = "BIO_get_data")]
    [SuppressGCTransition]
    public static partial nint BioData(nint bio);

    [LibraryImport(Crypto, EntryPoint = "BIO_set_init")]
    public static partial void SetBioReady(nint bio, int ready);

    [LibraryImport(Crypto, EntryPoint = "BIO_set_flags")]
    [SuppressGCTransition]
    public static partial void SetBioFlags(nint bio, int flags);

    [LibraryImport(Crypto, EntryPoint = "BIO_clear_flags")]
    [SuppressGCTransition]
    public static partial void ClearBioFlags(nint bio, int flags);

    [LibraryImport(Crypto, EntryPoint = "d2i_X509")]
    public static partial nint ReadCertificate(nint reuse, byte** der, nint length);

    [LibraryImport(Crypto, EntryPoint = "X509_free")]
    public static partial void FreeCertificate(nint certificate);

    [LibraryImport(Crypto, EntryPoint = "X509_get0_pubkey")]
    public static partial nint PublicKey(nint certificate);

    [LibraryImport(Crypto, EntryPoint = "X509_get_signature_info")]
    public static partial int SignatureInfo(nint certificate, int* hash, int* key, int* securityBits, uint* flags);

    [LibraryImport(Crypto, EntryPoint = "X509_digest")]
    public static partial int CertificateDigest(nint certificate, nint function, byte* digest, uint* length);

    [LibraryImport(Crypto, EntryPoint = "OBJ_nid2sn")]
    public static partial byte* ShortName(int number);

    [LibraryImport(Crypto, EntryPoint = "EVP_get_digestbyname")]
    public static partial nint DigestByName(byte* name);

    [LibraryImport(Crypto, EntryPoint = "X509_verify")]
    public static partial int VerifyCertificate(nint certificate, nint key);

    [LibraryImport(Crypto, EntryPoint = "ERR_clear_error")]
    public static partial void ClearErrors();

    [LibraryImport(Crypto, EntryPoint = "ERR_peek_error")]
    public static partial ulong PeekError();

    [LibraryImport(Crypto, EntryPoint = "ERR_reason_error_string")]
    public static partial byte* ReasonText(ulong error);

    [LibraryImport(Crypto, EntryPoint = "EVP_aes_256_cbc")]
    public static partial nint Aes256Cbc();

    [LibraryImport(Crypto, EntryPoint = "EVP_EncryptInit_ex")]
    public static partial int EncryptInit(nint cipherContext, nint cipher, nint engine, byte* key, byte* iv);

    [LibraryImport(Crypto, EntryPoint = "EVP_DecryptInit_ex")]
    public static partial int DecryptInit(nint cipherContext, nint cipher, nint engine, byte* key, byte* iv);

    [LibraryImport(Crypto, EntryPoint = "EVP_MAC_CTX_set_params")]
    public static partial int SetMacParameters(nint macContext, OpenSslParameter* parameters);

    /// <summary>Whether one certificate was signed with the other's key, of whatever type. Both are DER.</summary>
    public static bool IsSignedBy(ReadOnlySpan<byte> certificate, ReadOnlySpan<byte> issuer)
    {
        nint signed = Read(certificate), signer = Read(issuer);
        bool isSigned = signed != 0 && signer != 0 && VerifyCertificate(signed, PublicKey(signer)) == 1;
        FreeCertificate(signed);
        FreeCertificate(signer);
        return isSigned;

        static nint Read(ReadOnlySpan<byte> der)
        {
            fixed (byte* start = der)
            {
                byte* next = start;
                return ReadCertificate(0, &next, der.Length);
            }
        }
    }

    /// <summary>The first error in this thread's queue, as OpenSSL describes it.</summary>
    public static string DescribeError() =>
        Marshal.PtrToStringUTF8((nint)ReasonText(PeekError())) ?? "no reason given";
}
