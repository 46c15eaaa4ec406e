namespace Megaphone.Hub;

/// <summary>What became of something that was passed to a backend.</summary>
internal enum BackendVerdict
{
    /// <summary>It was taken.</summary>
    Taken,

    /// <summary>The session is over at that end; the packet is dropped.</summary>
    Gone,

    /// <summary>The link has no room for the answer: pass it again later.</summary>
    NoRoom,
}
