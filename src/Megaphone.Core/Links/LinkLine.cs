namespace Megaphone.Links;

/// <summary>What a line about an accepted link is about: repeated ones are counted by kind (<see cref="LinkLines"/>).</summary>
internal enum LinkLine
{
    /// <summary>It came up.</summary>
    Up,

    /// <summary>It was up and went.</summary>
    Down,

    /// <summary>The other side asked for no new sessions.</summary>
    Draining,

    /// <summary>It broke the protocol.</summary>
    ProtocolError,

    /// <summary>Its <c>hello</c> was refused.</summary>
    HelloRefused,

    /// <summary>It spoke no TLS, or showed no certificate that is accepted.</summary>
    TlsRefused,

    /// <summary>It went before it came up.</summary>
    Unused,

    /// <summary>There were too many.</summary>
    TooMany,

    /// <summary>It could not be accepted.</summary>
    NotAccepted,

    /// <summary>It met an error of our own.</summary>
    OwnError,
}
