using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary><c>struct rlimit</c> where <c>long</c> has 64 bits.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceLimit
{
    /// <summary>The limit in force.</summary>
    public ulong Soft;

    /// <summary>The ceiling of the soft limit.</summary>
    public ulong Hard;
}
