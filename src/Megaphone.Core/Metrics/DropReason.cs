namespace Megaphone.Metrics;

/// <summary>Why a packet was not delivered: the <c>reason</c> label of <c>megaphone_dropped_packets_total</c>.</summary>
internal enum DropReason
{
    /// <summary>Its session is over, or was never opened: what was left in flight (section 2 of the protocol).</summary>
    SessionOver,

    /// <summary>It was queued for a link that was lost.</summary>
    LinkLost,

    /// <summary>The client left in the middle of a stanza, so it never became a packet (stanza framing).</summary>
    Incomplete,

    /// <summary>The client sent it after the end of its stream; counted once for each client, however much it sent (stanza framing).</summary>
    StreamEnded,
}
