using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>What a room does with the packets of its links.</summary>
/// <remarks>
/// For each link one call at a time, but for <see cref="OnWritable"/>, which may come on any thread. Nothing may block.
/// </remarks>
internal interface ILinkHandler
{
    /// <summary>The link is ready for sessions. Comes once, before anything else.</summary>
    void OnUp(Link link);

    /// <summary>A session's packet arrived.</summary>
    /// <param name="link">The link.</param>
    /// <param name="id">The connection id, never 0.</param>
    /// <param name="content">Empty: the sender of it ends its direction. Valid during the call only.</param>
    /// <returns><see cref="Outcome.Done"/>, or <see cref="Outcome.WouldBlock"/> when there is no room for what it would cause: it comes again
    /// when the link's own ring has room.</returns>
    Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content);

    /// <summary>A <c>pause</c>, <c>resume</c>, <c>reset</c> or <c>drain</c> arrived.</summary>
    void OnControl(Link link, ControlMessage message);

    /// <summary>Everything that arrived together has been handed over.</summary>
    void OnBatchEnded(Link link);

    /// <summary>The link's ring has room again after a claim was refused.</summary>
    void OnWritable(Link link);

    /// <summary>The link is over, and all its sessions with it. Comes once if <see cref="OnUp"/> came; only <see cref="OnWritable"/> may follow.</summary>
    void OnDown(Link link);
}
