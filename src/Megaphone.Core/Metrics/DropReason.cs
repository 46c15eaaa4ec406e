namespace Megaphone.Metrics;

/// <summary>Why a packet was not delivered: the <c>reason</c> label of <c>megaphone_dropped_packets_total</c>.</summary>
internal enum DropReason
{
    /// <summary>Its session is over, or was never opened: what was left in flight (section 2 of the protocol).</summary>
    SessionOver,

    /// <summary>It was queued for a link that was lost.</summary>
    LinkLost,

    /// <summary>The client went in the middle of it, so it never became a packet (stanza framing).</summary>
    Incomplete,

    /// <summary>The client had ended its stream; counted once for each, however much came behind its end (stanza framing).</summary>
    StreamEnded,
}
