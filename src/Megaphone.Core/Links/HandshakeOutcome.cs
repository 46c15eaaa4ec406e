namespace Megaphone.Links;

/// <summary>What a link's first packet leads to.</summary>
internal enum HandshakeOutcome
{
    /// <summary>The link is ready for sessions.</summary>
    Up,

    /// <summary>The <c>hello</c> is not acceptable: to be told with <c>refuse</c>, then the link ends.</summary>
    Refuse,

    /// <summary>The other side broke the protocol: the link ends.</summary>
    Breach,

    /// <summary>The other side does not want the link, or cannot be spoken to: the link ends.</summary>
    End,
}
