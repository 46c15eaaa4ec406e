using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>struct pollfd of poll(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollRequest
{
    /// <summary>The descriptor that is asked about.</summary>
    public int Descriptor;

    /// <summary>What is waited for; nothing: only what is always told.</summary>
    public short Wanted;

    /// <summary>What is told.</summary>
    public short Result;
}
