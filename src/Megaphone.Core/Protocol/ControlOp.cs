namespace Megaphone.Protocol;

/// <summary>What a control packet asks for or tells: its <c>op</c> (section 4 of the link protocol).</summary>
internal enum ControlOp
{
    /// <summary>An op that this version does not know; to be ignored and counted.</summary>
    Unknown,

    /// <summary>An ECM asks for control; the first packet of a link.</summary>
    Hello,

    /// <summary>The other end accepts it; its first packet.</summary>
    Welcome,

    /// <summary>The other end refuses the link and closes it.</summary>
    Refuse,

    /// <summary>Asks for a sign of life.</summary>
    Ping,

    /// <summary>The sign of life.</summary>
    Pong,

    /// <summary>Stop sending data on a connection id.</summary>
    Pause,

    /// <summary>Go on sending data on a connection id.</summary>
    Resume,

    /// <summary>Abort a session now, in both directions.</summary>
    Reset,

    /// <summary>Open no new sessions here; the link will close.</summary>
    Drain,
}
