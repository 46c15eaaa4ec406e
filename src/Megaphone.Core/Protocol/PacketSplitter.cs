using System.Runtime.CompilerServices;

namespace Megaphone.Protocol;

/// <summary>
/// Finds the packets in a link's stream, however it is cut (section 1 of the link protocol). It buffers
/// nothing and allocates only the fault that ends the stream. Not thread-safe: one per stream, used by its
/// reader.
/// </summary>
/// <remarks>
/// A mutable struct, so that it lies inside its owner: keep it in a field that is not readonly, and do not copy it.
/// </remarks>
/// <param name="maxPacketBytes">The longest packet, header included, that is accepted: 32 or more.</param>
internal struct PacketSplitter(int maxPacketBytes)
{
    private int _maxPacketBytes = maxPacketBytes >= PacketHeader.Size
        ? maxPacketBytes
        : throw new ArgumentOutOfRangeException(
            nameof(maxPacketBytes), maxPacketBytes, $"No packet is shorter than {PacketHeader.Size} bytes.");

    /// <summary>The longest packet that is accepted from now on, in bytes; it can be raised, never lowered.</summary>
    public int MaxPacketBytes
    {
        readonly get => _maxPacketBytes;
        set => _maxPacketBytes = Math.Max(_maxPacketBytes, value);
    }

    /// <summary>Bytes consumed so far: the next header's offset in the stream.</summary>
    public long Offset { get; private set; }

    /// <summary>The fault that ended the stream; null while it is valid.</summary>
    public PacketFault? Fault { get; private set; }

    /// <summary>Finds the next packet in what has arrived and is not yet consumed.</summary>
    /// <param name="unread">Begins at <see cref="Offset"/>; may be empty, may hold many packets.</param>
    /// <param name="header">
    /// With <see cref="Result.Packet"/> the packet's header: its content is
    /// <c>unread[PacketHeader.Size..header.Length]</c>, and the caller continues after it. With
    /// <see cref="Result.Incomplete"/> the header of the incomplete packet if it has arrived completely, else default.
    /// With <see cref="Result.Malformed"/> default.
    /// </param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Result Next(ReadOnlySpan<byte> unread, out PacketHeader header)
    {
        if (Fault is null
            && unread.Length >= PacketHeader.Size
            && PacketHeader.TryParse(unread, _maxPacketBytes, out header))
        {
            if (header.Length > unread.Length) return Result.Incomplete;
            Offset += header.Length;
            return Result.Packet;
        }

        header = default;
        return IncompleteOrMalformed(unread);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Result IncompleteOrMalformed(ReadOnlySpan<byte> unread)
    {
        if (Fault is not null) return Result.Malformed;
        if (unread.IsEmpty) return Result.Incomplete;

        HeaderFaultKind kind = HeaderScanner.Scan(unread, _maxPacketBytes, out _, out int at);
        if (kind == HeaderFaultKind.None) return Result.Incomplete;

        Fault = new PacketFault(kind, Offset, unread[..(at + 1)], _maxPacketBytes);
        return Result.Malformed;
    }

    /// <summary>What <see cref="PacketSplitter.Next"/> found.</summary>
    internal enum Result
    {
        /// <summary>A complete packet is at the front.</summary>
        Packet,

        /// <summary>More bytes are needed; nothing was consumed.</summary>
        Incomplete,

        /// <summary>The stream is malformed, and stays so; <see cref="PacketSplitter.Fault"/> tells in what way.</summary>
        Malformed,
    }
}
