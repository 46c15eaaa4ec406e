namespace Megaphone.Links;

/// <summary>What a log line about an accepted link reports; repeated ones are limited by kind (<see cref="LinkLogLimiter"/>).</summary>
internal enum LinkEvent
{
    /// <summary>It came up.</summary>
    Up,

    /// <summary>It went down.</summary>
    Down,

    /// <summary>Its connection ended, and it waits for another.</summary>
    Cut,

    /// <summary>Another connection has taken it up.</summary>
    Resumed,

    /// <summary>It was cut and did not come back.</summary>
    Lost,

    /// <summary>The other side asked for no new sessions.</summary>
    Draining,

    /// <summary>It has the name of another process's link, which is up.</summary>
    NameShared,

    /// <summary>It violated the protocol.</summary>
    ProtocolError,

    /// <summary>Its <c>hello</c> was refused.</summary>
    HelloRefused,

    /// <summary>It did not speak TLS, or showed no certificate that is accepted.</summary>
    TlsRefused,

    /// <summary>It ended before it was up.</summary>
    Unused,

    /// <summary>It was rejected, because MaxLinks was reached.</summary>
    TooMany,

    /// <summary>It could not be accepted.</summary>
    NotAccepted,

    /// <summary>It ended because of an internal error.</summary>
    InternalError,
}
