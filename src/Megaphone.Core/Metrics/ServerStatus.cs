namespace Megaphone.Metrics;

/// <summary>How one configured server or backend is now.</summary>
/// <param name="Name">As it is configured: the <c>server</c> label.</param>
/// <param name="Up">Its links that are up (ECM), or its addresses that are in use (hub). A name may stand for several servers.</param>
/// <param name="Sessions">The clients (ECM) or sessions (hub) on them.</param>
/// <param name="Resumed">How often a link came back with its sessions (ECM).</param>
/// <param name="Fresh">How often a link came back without (ECM).</param>
internal readonly record struct ServerStatus(string Name, int Up, long Sessions, long Resumed = 0, long Fresh = 0)
{
    /// <summary>Clients that wait for their turn to log in (ECM).</summary>
    public long LoginsWaiting { get; init; }

    /// <summary>Clients that have their turn to log in (ECM).</summary>
    public long LoginsUnderWay { get; init; }
}
