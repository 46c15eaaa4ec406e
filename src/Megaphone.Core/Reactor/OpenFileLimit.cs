using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>
/// How many descriptors this process may have (RLIMIT_NOFILE): each client and each backend connection is one.
/// </summary>
internal static unsafe class OpenFileLimit
{
    /// <summary>The soft and the hard limit now.</summary>
    /// <exception cref="IOException">The kernel refuses to tell.</exception>
    public static (ulong Soft, ulong Hard) Read()
    {
        ResourceLimit limit;
        if (Libc.GetLimit(Libc.NumberOfFiles, &limit) != 0)
            throw new IOException($"getrlimit: {Marshal.GetLastPInvokeErrorMessage()}");
        return (limit.Soft, limit.Hard);
    }

    /// <summary>The soft limit now, which the kernel enforces; without end where it does not tell.</summary>
    public static ulong Soft()
    {
        ResourceLimit limit;
        return Libc.GetLimit(Libc.NumberOfFiles, &limit) == 0 ? limit.Soft : ulong.MaxValue;
    }

    /// <summary>Raises the soft limit to the hard one, which needs no privilege.</summary>
    /// <returns>The limit that holds now.</returns>
    /// <exception cref="IOException">The kernel refuses.</exception>
    public static ulong RaiseToHard()
    {
        ulong hard = Read().Hard;
        ResourceLimit raised = new() { Soft = hard, Hard = hard };
        if (Libc.SetLimit(Libc.NumberOfFiles, &raised) != 0)
            throw new IOException($"setrlimit: {Marshal.GetLastPInvokeErrorMessage()}");
        return hard;
    }
}
