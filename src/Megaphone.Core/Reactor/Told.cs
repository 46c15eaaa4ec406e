namespace Megaphone.Reactor;

/// <summary>A handler's answer when it is told that something happened to a connection.</summary>
internal enum Told
{
    /// <summary>It knows; nothing more is to do.</summary>
    Done,

    /// <summary>It has no room to pass the news on now: tell it again after <c>ReleaseStalled</c>.</summary>
    NoRoom,

    /// <summary>It knows, and the connection is of no use any more: close it.</summary>
    Close,
}
