using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>struct msghdr, of which only the parts are used.</summary>
[StructLayout(LayoutKind.Explicit, Size = 56)]
internal unsafe struct MessageHeader
{
    /// <summary>What is sent, one behind the other.</summary>
    [FieldOffset(16)]
    public Part* Parts;

    /// <summary>How many parts there are.</summary>
    [FieldOffset(24)]
    public nuint Count;

    /// <summary>struct iovec.</summary>
    public readonly struct Part(byte* start, int length)
    {
        /// <summary>The first byte.</summary>
        public readonly byte* Start = start;

        /// <summary>How many there are.</summary>
        public readonly nuint Length = (nuint)length;
    }
}
