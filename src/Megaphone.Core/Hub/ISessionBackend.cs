using Megaphone.Metrics;

namespace Megaphone.Hub;

/// <summary>Where a hub's sessions lead. Called by the receivers of links; must not block.</summary>
internal interface ISessionBackend : IDisposable
{
    /// <summary>Begins a session that is in its link's table already.</summary>
    /// <returns>Null, or why it cannot be; then it is not begun.</returns>
    CloseReason? Open(HubSession session);

    /// <summary>Passes on what the client said.</summary>
    BackendVerdict Send(HubSession session, ReadOnlySpan<byte> content);

    /// <summary>Passes on that the client ended its direction.</summary>
    BackendVerdict EndInput(HubSession session);

    /// <summary>Stops, or goes on, sending on the session: <c>pause</c> and <c>resume</c> from the ECM.</summary>
    void Pause(HubSession session, bool pause);

    /// <summary>Ends the session at once. The link is told, unless it asked for it.</summary>
    void Abort(HubSession session, CloseReason reason);

    /// <summary>The link is gone: ends the session after what was received has been passed on.</summary>
    void LinkLost(HubSession session);

    /// <summary>The link has room again.</summary>
    void RoomAgain(HubLink link);

    /// <summary>Ends what is left. The links are down.</summary>
    Task StopAsync(CancellationToken deadline);
}
