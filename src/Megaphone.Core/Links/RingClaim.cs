using System.Diagnostics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Room in a link's ring that its holder has claimed: packets are committed into it, and what is left of it is released.</summary>
/// <remarks>
/// The caller that claimed it releases it exactly once; a copy is not another claim. Room that is neither written to nor released
/// is lost to the ring. The default value is an empty claim.
/// </remarks>
internal struct RingClaim
{
    private readonly SendRing? _ring;
    private int _bytes;

    /// <summary>For <see cref="SendRing"/> only.</summary>
    internal RingClaim(SendRing ring, int bytes)
    {
        _ring = ring;
        _bytes = bytes;
    }

    /// <summary>The bytes that packets take in a ring: their content, and a header for each.</summary>
    public static int BytesFor(int contentBytes, int packets = 1) => contentBytes + (packets * PacketHeader.Size);

    /// <summary>Whether a packet with this much content fits into what is left.</summary>
    public readonly bool Fits(int contentBytes) => BytesFor(contentBytes) <= _bytes;

    /// <summary>Queues a packet, which must fit. It is sent at the link's next flush.</summary>
    /// <param name="id">The connection id.</param>
    /// <param name="content">Copied.</param>
    public void Commit(ulong id, ReadOnlySpan<byte> content)
    {
        Debug.Assert(Fits(content.Length), "A packet is longer than what is left of the room that was claimed for it.");
        _bytes -= BytesFor(content.Length);
        _ring!.Commit(id, content);
    }

    /// <summary>Frees what is left.</summary>
    public void Release()
    {
        _ring?.Release(_bytes);
        _bytes = 0;
    }
}
