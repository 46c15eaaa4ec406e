namespace Megaphone;

/// <summary>What became of something that was handed on and must not be waited for: bytes, a packet, a notification.</summary>
internal enum Outcome
{
    /// <summary>It was taken.</summary>
    Done,

    /// <summary>There is no room for it, or for what it would cause, now. Nothing was taken: hand it on again when there is room.</summary>
    WouldBlock,

    /// <summary>It is of no use any more: whoever handed it on closes what it came from, or drops it and counts that.</summary>
    Closed,

    /// <summary>It is not its turn yet. Nothing was taken: keep it until it is released, and then hand it on again.</summary>
    Held,
}
