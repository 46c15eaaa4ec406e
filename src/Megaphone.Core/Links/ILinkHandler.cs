using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Receives the events of a link: the ECM's, the hub's, or the load generator's side of it.</summary>
/// <remarks>
/// Calls for one link do not overlap, except for <see cref="OnWritable"/>, which may come on any thread. None may block.
/// </remarks>
internal interface ILinkHandler
{
    /// <summary>The link is ready for sessions. Called once, before anything else.</summary>
    void OnUp(Link link);

    /// <summary>The link was cut, and is up again, with all its sessions.</summary>
    void OnResumed(Link link)
    {
    }

    /// <summary>A session's packet arrived.</summary>
    /// <param name="link">The link.</param>
    /// <param name="id">The connection id, never 0.</param>
    /// <param name="content">Empty: the peer ends its direction of the session. Valid during the call only.</param>
    /// <returns><see cref="Outcome.Done"/>, or <see cref="Outcome.WouldBlock"/> when there is no room for what it would cause: it is repeated
    /// when the link's own ring has room.</returns>
    Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content);

    /// <summary>A <c>pause</c>, <c>resume</c>, <c>reset</c>, <c>drain</c> or <c>gone</c> arrived.</summary>
    void OnControl(Link link, ControlMessage message);

    /// <summary>The link's ring has room again after a claim was refused.</summary>
    void OnWritable(Link link);

    /// <summary>The link is down and its sessions are over. Called once; only <see cref="OnWritable"/> may follow.</summary>
    void OnDown(Link link);
}
