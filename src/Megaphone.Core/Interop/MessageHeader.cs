using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary><c>struct msghdr</c>, of which only the buffers are used.</summary>
[StructLayout(LayoutKind.Explicit, Size = 56)]
internal unsafe struct MessageHeader
{
    /// <summary>The buffers to send, in order.</summary>
    [FieldOffset(16)]
    public Part* Parts;

    /// <summary>The number of buffers.</summary>
    [FieldOffset(24)]
    public nuint Count;

    /// <summary><c>struct iovec</c>.</summary>
    public readonly struct Part(byte* start, int length)
    {
        /// <summary>The first byte.</summary>
        public readonly byte* Start = start;

        /// <summary>The number of bytes.</summary>
        public readonly nuint Length = (nuint)length;
    }
}
