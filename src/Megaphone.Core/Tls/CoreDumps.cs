using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>Whether this process leaves a core dump when it crashes (core(5)).</summary>
internal static unsafe class CoreDumps
{
    /// <summary>Too small for a file. The kernel does not start a program that would collect the dump either, which it does at 0.</summary>
    private const ulong None = 1;

    /// <summary>
    /// From now on there is none: OpenSSL's heap has private keys and the secrets of handshakes in it. The hard limit stays, so that
    /// prlimit(1) can allow one.
    /// </summary>
    public static void Forbid()
    {
        ResourceLimit limit;
        if (Libc.GetLimit(Libc.CoreFileSize, &limit) != 0) return;
        limit.Soft = Math.Min(limit.Hard, None);
        _ = Libc.SetLimit(Libc.CoreFileSize, &limit);
    }
}
