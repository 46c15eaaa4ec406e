namespace Megaphone.Web;

/// <summary>How far the client's XMPP stream over a WebSocket is.</summary>
internal enum FramedLife : byte
{
    /// <summary><c>&lt;open/&gt;</c> has not come.</summary>
    Unopened,

    /// <summary>It has.</summary>
    Open,

    /// <summary><c>&lt;close/&gt;</c> has come: what follows is dropped.</summary>
    Closed,
}
