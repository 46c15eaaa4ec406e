using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>What a room does with the packets of its links.</summary>
/// <remarks>
/// For each link one call at a time, but for <see cref="RoomAgain"/>, which may come on any thread. Nothing may block.
/// </remarks>
internal interface ILinkHandler
{
    /// <summary>The link is ready for sessions. Comes once, before anything else.</summary>
    void Up(Link link);

    /// <summary>A session's packet arrived.</summary>
    /// <param name="link">The link.</param>
    /// <param name="id">The connection id, never 0.</param>
    /// <param name="content">Empty: the sender of it ends its direction. Valid during the call only.</param>
    /// <returns>False when there is no room for what it would cause: it comes again when the link's own ring has room.</returns>
    bool TryTake(Link link, ulong id, ReadOnlySpan<byte> content);

    /// <summary>A <c>pause</c>, <c>resume</c>, <c>reset</c> or <c>drain</c> arrived.</summary>
    void Control(Link link, ControlMessage message);

    /// <summary>Everything that arrived together has been handed over.</summary>
    void BatchEnded(Link link);

    /// <summary>The link's ring has room again after somebody was turned away.</summary>
    void RoomAgain(Link link);

    /// <summary>The link is over, and all its sessions with it. Comes once if <see cref="Up"/> came; only <see cref="RoomAgain"/> may follow.</summary>
    void Down(Link link);
}
