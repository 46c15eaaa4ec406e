using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One session of a hub, as it is passed to its backend.</summary>
/// <remarks>It lives as long as a call: a session's lasting state is in its link's <see cref="SessionTable"/> and with its connection.</remarks>
internal readonly struct HubSession(HubLink link, ulong id, ConnectionId connection = default)
{
    /// <summary>The link that opened it.</summary>
    public HubLink Link => link;

    /// <summary>The connection id on that link.</summary>
    public ulong Id => id;

    /// <summary>The connection to the backend; default with <c>echo:</c>.</summary>
    public ConnectionId Connection => connection;
}
