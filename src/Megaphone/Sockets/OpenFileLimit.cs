using System.Runtime.InteropServices;

namespace Megaphone.Sockets;

/// <summary>
/// How many descriptors this process may have (RLIMIT_NOFILE): each client and each backend connection is one.
/// </summary>
internal static partial class OpenFileLimit
{
    /// <summary>RLIMIT_NOFILE on Linux for x64 and arm64.</summary>
    private const int NumberOfFiles = 7;

    /// <summary>The soft and the hard limit now.</summary>
    /// <exception cref="IOException">The kernel refuses to tell.</exception>
    public static (ulong Soft, ulong Hard) Read()
    {
        if (GetLimit(NumberOfFiles, out Limit limit) != 0)
            throw new IOException($"getrlimit: {Marshal.GetLastPInvokeErrorMessage()}");
        return (limit.Soft, limit.Hard);
    }

    /// <summary>The soft limit now, which the kernel enforces; without end where it does not tell.</summary>
    public static ulong Soft() => GetLimit(NumberOfFiles, out Limit limit) == 0 ? limit.Soft : ulong.MaxValue;

    /// <summary>Raises the soft limit to the hard one, which needs no privilege.</summary>
    /// <returns>The limit that holds now.</returns>
    /// <exception cref="IOException">The kernel refuses.</exception>
    public static ulong RaiseToHard()
    {
        ulong hard = Read().Hard;
        Limit raised = new() { Soft = hard, Hard = hard };
        if (SetLimit(NumberOfFiles, in raised) != 0)
            throw new IOException($"setrlimit: {Marshal.GetLastPInvokeErrorMessage()}");
        return hard;
    }

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int GetLimit(int resource, out Limit limit);

    [LibraryImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    private static partial int SetLimit(int resource, in Limit limit);

    /// <summary><c>struct rlimit</c> where <c>long</c> has 64 bits.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        public ulong Soft;
        public ulong Hard;
    }
}
