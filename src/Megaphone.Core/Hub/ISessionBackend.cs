using Megaphone.Handover;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>The server behind a hub's sessions. Called by the receivers of links; must not block.</summary>
internal interface ISessionBackend : IDisposable
{
    /// <summary>Starts, before any session is opened; once more after <see cref="Park"/>.</summary>
    void Start();

    /// <summary>Stands still, until <see cref="Start"/>: sessions stay as they are.</summary>
    void Park();

    /// <summary>Writes what it keeps of sessions, while it stands still.</summary>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    void Save(StateWriter writer);

    /// <summary>Reads what <see cref="Save"/> has written, before it starts. The links are there.</summary>
    /// <param name="reader">The state.</param>
    /// <exception cref="StateException">It cannot be.</exception>
    void Restore(StateReader reader);

    /// <summary>Opens a session that is in its link's table already.</summary>
    /// <param name="link">The link that opened it.</param>
    /// <param name="id">Its connection id there.</param>
    /// <param name="connection">Its connection; default for a backend without connections.</param>
    /// <returns>Null, or why it is refused; then it is not opened.</returns>
    CloseReason? Open(HubLink link, ulong id, out ConnectionId connection);

    /// <summary>Passes on what the client sent.</summary>
    /// <returns><see cref="Outcome.Closed"/>: the session is over at the backend. <see cref="Outcome.WouldBlock"/>: the link has no room for the
    /// answer: pass it again later.</returns>
    Outcome Send(in HubSession session, ReadOnlySpan<byte> content);

    /// <summary>Passes on that the client ended its direction.</summary>
    /// <returns>As <see cref="Send"/>.</returns>
    Outcome EndInput(in HubSession session);

    /// <summary>Pauses or resumes sending on the session: <c>pause</c> and <c>resume</c> from the ECM.</summary>
    void Pause(in HubSession session, bool pause);

    /// <summary>Ends the session at once. The other end of the link is told, unless it asked for it.</summary>
    void Abort(in HubSession session, CloseReason reason);

    /// <summary>Ends the session, after everything received has been passed on, because its link is down.</summary>
    void LinkLost(in HubSession session);

    /// <summary>The link's ring has room again.</summary>
    void OnWritable(HubLink link);

    /// <summary>Stops, after the links are down.</summary>
    Task StopAsync(CancellationToken deadline);
}
