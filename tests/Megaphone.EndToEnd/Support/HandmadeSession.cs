namespace Megaphone.EndToEnd.Support;

/// <summary>A handmade TLS client of an ECM whose hub is the test, with a session: it has said something, and the hub has heard it.</summary>
internal sealed class HandmadeSession : IDisposable
{
    private readonly TestHub _hub = new();

    /// <summary>The ECM.</summary>
    public MegaphoneProcess Ecm { get; private set; } = null!;

    /// <summary>The ECM's link, at the hub's end.</summary>
    public LinkPeer Link { get; private set; } = null!;

    /// <summary>The client.</summary>
    public HandmadeTls Client { get; private set; } = null!;

    /// <summary>Its session's id.</summary>
    public ulong Id { get; private set; }

    /// <summary>Starts the ECM, and connects the client.</summary>
    /// <param name="keys">The file for the client's key log.</param>
    /// <param name="settings">The ECM's, with TLS.</param>
    public static async Task<HandmadeSession> OpenAsync(string keys, params string[] settings)
    {
        HandmadeSession session = new();
        session.Ecm = await MegaphoneProcess.EcmAsync(session._hub.Address, settings);
        session.Link = await session._hub.AcceptAsync();
        await session.Ecm.HasLinksAsync(1, "ecm");
        session.Client = await HandmadeTls.ConnectAsync(session.Ecm.Clients, keys);
        await session.Client.SendAsync(HandmadeTls.ApplicationData, "handmade"u8);
        session.Id = (await session.Link.ReceiveAsync()).Id;
        return session;
    }

    public void Dispose()
    {
        Client?.Dispose();
        Link?.Dispose();
        Ecm?.Dispose();
        _hub.Dispose();
    }
}
