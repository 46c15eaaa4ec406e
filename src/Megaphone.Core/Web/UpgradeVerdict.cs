namespace Megaphone.Web;

/// <summary>What becomes of a request for the path of the WebSocket.</summary>
internal enum UpgradeVerdict
{
    /// <summary>It is a WebSocket for XMPP.</summary>
    Accepted,

    /// <summary>It does not ask for a WebSocket.</summary>
    NotUpgrade,

    /// <summary>It asks for one, and is not as RFC 6455, section 4.2.1, has it.</summary>
    Malformed,

    /// <summary>It asks for another version of the protocol than 13.</summary>
    WrongVersion,

    /// <summary>It does not offer the subprotocol <c>xmpp</c> (RFC 7395, section 3.1).</summary>
    NoSubprotocol,
}
