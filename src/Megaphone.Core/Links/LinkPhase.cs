namespace Megaphone.Links;

/// <summary>How far a link has come.</summary>
internal enum LinkPhase
{
    /// <summary>Accepted; its first packet says whether it has control.</summary>
    AwaitingFirstPacket,

    /// <summary><c>hello</c> has been said; <c>welcome</c> or <c>refuse</c> must be the answer.</summary>
    AwaitingWelcome,

    /// <summary>Sessions may be carried.</summary>
    Up,

    /// <summary>Over.</summary>
    Down,
}
