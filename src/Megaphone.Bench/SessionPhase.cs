namespace Megaphone.Bench;

/// <summary>How far a played session has come (RFC 6120, sections 4 to 7). Named after what it waits for.</summary>
internal enum SessionPhase : byte
{
    /// <summary>Nothing has been sent for it.</summary>
    Unopened,

    /// <summary>The server's first stream header.</summary>
    Header,

    /// <summary>The SASL mechanisms.</summary>
    Mechanisms,

    /// <summary>A SCRAM challenge.</summary>
    Challenge,

    /// <summary>The success of SASL.</summary>
    Success,

    /// <summary>The server's second stream header.</summary>
    SecondHeader,

    /// <summary>The features behind it.</summary>
    SecondFeatures,

    /// <summary>The address that the session is bound to.</summary>
    Binding,

    /// <summary>Messages: it is logged in, and has said that it is present.</summary>
    Online,

    /// <summary>The other side's end: ours has been said.</summary>
    Leaving,

    /// <summary>Nothing more.</summary>
    Over,
}
