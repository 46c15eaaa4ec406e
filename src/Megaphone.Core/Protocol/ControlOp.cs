namespace Megaphone.Protocol;

/// <summary>The <c>op</c> of a control packet (section 4 of the link protocol).</summary>
internal enum ControlOp
{
    /// <summary>An op that this version does not know; it is ignored and counted.</summary>
    Unknown,

    /// <summary>An ECM requests control; the first packet of a link.</summary>
    Hello,

    /// <summary>The other end accepts the hello; its first packet.</summary>
    Welcome,

    /// <summary>The other end refuses the link and closes it.</summary>
    Refuse,

    /// <summary>Requests a pong, as a sign of life.</summary>
    Ping,

    /// <summary>Answers a ping.</summary>
    Pong,

    /// <summary>Stop sending data on a connection id.</summary>
    Pause,

    /// <summary>Continue to send data on a connection id.</summary>
    Resume,

    /// <summary>Abort a session now, in both directions.</summary>
    Reset,

    /// <summary>Open no new sessions here; the link will close.</summary>
    Drain,

    /// <summary>What has been received so far (section 7).</summary>
    Ack,

    /// <summary>The link ends for good, and is not to be resumed (section 7).</summary>
    Close,

    /// <summary>Another server has died, and its sessions are not to be waited for (section 7).</summary>
    Gone,

    /// <summary>Clients have logged in at the server (section 8).</summary>
    LoggedIn,
}
