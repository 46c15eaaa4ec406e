using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>Where a hub's sessions lead. Called by the receivers of links; must not block.</summary>
internal interface ISessionBackend : IDisposable
{
    /// <summary>Begins a session that is in its link's table already.</summary>
    /// <param name="link">The link that opened it.</param>
    /// <param name="id">Its connection id there.</param>
    /// <param name="connection">The connection that it gets; default where there are none.</param>
    /// <returns>Null, or why it cannot be; then it is not begun.</returns>
    CloseReason? Open(HubLink link, ulong id, out ConnectionId connection);

    /// <summary>Passes on what the client said.</summary>
    /// <returns><see cref="Outcome.Closed"/>: the session is over at that end. <see cref="Outcome.WouldBlock"/>: the link has no room for the
    /// answer, so pass it again later.</returns>
    Outcome Send(in HubSession session, ReadOnlySpan<byte> content);

    /// <summary>Passes on that the client ended its direction.</summary>
    /// <returns>As <see cref="Send"/>.</returns>
    Outcome EndInput(in HubSession session);

    /// <summary>Stops, or goes on, sending on the session: <c>pause</c> and <c>resume</c> from the ECM.</summary>
    void Pause(in HubSession session, bool pause);

    /// <summary>Ends the session at once. The link is told, unless it asked for it.</summary>
    void Abort(in HubSession session, CloseReason reason);

    /// <summary>The link is gone: ends the session after what was received has been passed on.</summary>
    void LinkLost(in HubSession session);

    /// <summary>The link has room again.</summary>
    void OnWritable(HubLink link);

    /// <summary>Ends what is left. The links are down.</summary>
    Task StopAsync(CancellationToken deadline);
}
