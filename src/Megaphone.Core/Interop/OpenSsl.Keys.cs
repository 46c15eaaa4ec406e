using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <content>Whether keys and certificates belong together.</content>
internal static unsafe partial class OpenSsl
{
    // An error's number: the library, and its reason in the lower 23 bits.
    private const ulong KeyTypeMismatch = (11UL << 23) + 115;
    private const ulong KeyValuesMismatch = (11UL << 23) + 116;
    private const ulong NoCertificateAssigned = (20UL << 23) + 177;

    /// <summary>Whether the first error in this thread's queue is that the key belongs to another certificate.</summary>
    public static bool IsKeyOfAnother() => PeekError() is KeyTypeMismatch or KeyValuesMismatch or NoCertificateAssigned;

    /// <summary>1 when the key that was used last belongs to a certificate; using a key of another type does not fail.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_check_private_key")]
    public static partial int CheckPrivateKey(TlsContext context);
}
