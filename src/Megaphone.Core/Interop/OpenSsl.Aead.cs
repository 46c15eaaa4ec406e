using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <content>Authenticated encryption (EVP).</content>
internal static unsafe partial class OpenSsl
{
    public const int AeadGetTag = 0x10;
    public const int AeadSetTag = 0x11;

    /// <summary>Finds an algorithm by its name, for all contexts that use it. 0: there is none.</summary>
    [LibraryImport(Crypto, EntryPoint = "EVP_CIPHER_fetch", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint FetchCipher(nint library, string name, string? properties);

    /// <summary>Gives an algorithm back; contexts that use it keep it.</summary>
    [LibraryImport(Crypto, EntryPoint = "EVP_CIPHER_free")]
    public static partial void FreeCipher(nint cipher);

    [LibraryImport(Crypto, EntryPoint = "EVP_CIPHER_CTX_new")]
    public static partial nint NewCipherContext();

    /// <summary>Zeroes the key that the context holds, too.</summary>
    [LibraryImport(Crypto, EntryPoint = "EVP_CIPHER_CTX_free")]
    public static partial void FreeCipherContext(nint cipherContext);

    /// <summary>Gives a context what is not 0 or null of these, and leaves the rest as it is.</summary>
    /// <param name="cipherContext">The context.</param>
    /// <param name="cipher">The algorithm.</param>
    /// <param name="key">Its key.</param>
    /// <param name="nonce">The nonce of the next message.</param>
    /// <param name="encrypt">1: it encrypts. 0: it decrypts.</param>
    /// <param name="parameters">Null.</param>
    [LibraryImport(Crypto, EntryPoint = "EVP_CipherInit_ex2")]
    public static partial int InitializeCipher(
        nint cipherContext, nint cipher, byte* key, byte* nonce, int encrypt, OpenSslParameter* parameters);

    /// <summary>Encrypts or decrypts; without a place for the result the input is additional data, which is only authenticated.</summary>
    [LibraryImport(Crypto, EntryPoint = "EVP_CipherUpdate")]
    public static partial int UpdateCipher(nint cipherContext, byte* output, int* written, byte* input, int length);

    /// <summary>Makes the tag, or compares it: not 1 when it is wrong.</summary>
    [LibraryImport(Crypto, EntryPoint = "EVP_CipherFinal_ex")]
    public static partial int FinishCipher(nint cipherContext, byte* output, int* written);

    [LibraryImport(Crypto, EntryPoint = "EVP_CIPHER_CTX_ctrl")]
    public static partial int ControlCipher(nint cipherContext, int command, int number, void* pointer);
}
