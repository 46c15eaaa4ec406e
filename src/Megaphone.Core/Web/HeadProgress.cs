namespace Megaphone.Web;

/// <summary>How far the head of a connection's first request has arrived, and whether it can be a WebSocket's.</summary>
internal enum HeadProgress
{
    /// <summary>So far it can, and more has to come.</summary>
    Incomplete,

    /// <summary>It is no <c>GET</c> of the path: whatever it is, it is not for a WebSocket.</summary>
    Other,

    /// <summary>It is one of the path, and has arrived whole.</summary>
    Whole,

    /// <summary>It is longer than <see cref="RequestHead.MaxBytes"/>.</summary>
    TooLong,

    /// <summary>A line does not end as HTTP wants it.</summary>
    Malformed,
}
