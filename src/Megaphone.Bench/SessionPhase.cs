namespace Megaphone.Bench;

/// <summary>The phase of a session (RFC 6120, sections 4 to 7), named after what the client waits for.</summary>
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

    /// <summary>The features that follow it.</summary>
    SecondFeatures,

    /// <summary>The result of resource binding, with the client's address.</summary>
    Binding,

    /// <summary>The confirmation of stream management (XEP-0198), where it was asked for.</summary>
    Enabling,

    /// <summary>The client's roster, where it was asked for.</summary>
    Roster,

    /// <summary>Messages: the client is logged in, and has sent presence.</summary>
    Online,

    /// <summary>The end of the server's stream: the client's has been sent.</summary>
    Closing,

    /// <summary>Nothing more.</summary>
    Closed,
}
