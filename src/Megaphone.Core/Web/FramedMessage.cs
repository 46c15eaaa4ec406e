namespace Megaphone.Web;

/// <summary>What a message of a client is.</summary>
internal enum FramedMessage
{
    /// <summary>Nothing but white space, which is dropped.</summary>
    Nothing,

    /// <summary><c>&lt;open/&gt;</c>: the stream's beginning.</summary>
    Open,

    /// <summary><c>&lt;close/&gt;</c>: the stream's end.</summary>
    Close,

    /// <summary>A stanza or another first-level element.</summary>
    Element,

    /// <summary>Not one element that XMPP allows.</summary>
    Fault,
}
