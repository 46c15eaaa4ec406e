using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary><c>struct pollfd</c> of poll(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollRequest
{
    /// <summary>The descriptor to check.</summary>
    public int Descriptor;

    /// <summary>The requested events; 0: only those that are always reported.</summary>
    public short Wanted;

    /// <summary>The returned events.</summary>
    public short Result;
}
