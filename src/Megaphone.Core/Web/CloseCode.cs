namespace Megaphone.Web;

/// <summary>The status codes with which a WebSocket is closed here: RFC 6455, section 7.4.1, and the registry that it opens.</summary>
internal enum CloseCode : ushort
{
    /// <summary>Nothing is wrong, and no code is given.</summary>
    None = 0,

    /// <summary>The purpose is fulfilled.</summary>
    Normal = 1000,

    /// <summary>The server goes away.</summary>
    GoingAway = 1001,

    /// <summary>The frames are not as the RFC has them.</summary>
    ProtocolError = 1002,

    /// <summary>A message is of a type that is not accepted: XMPP is text.</summary>
    UnsupportedData = 1003,

    /// <summary>A message is not UTF-8.</summary>
    InvalidData = 1007,

    /// <summary>A message is longer than allowed.</summary>
    TooLong = 1009,

    /// <summary>There is no memory for an incomplete message.</summary>
    TryAgainLater = 1013,
}
