using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;

namespace Megaphone.EndToEnd.Support;

/// <summary>An ECM played by a test, with stanza framing: it reads its link all the time and dispatches the packets.</summary>
internal sealed class StanzaEcm : IDisposable
{
    private readonly LinkPeer _link;
    private readonly ConcurrentDictionary<ulong, XmppClient> _clients = new();
    private readonly ConcurrentQueue<JsonElement> _control = new();
    private ulong _last;

    private StanzaEcm(LinkPeer link)
    {
        _link = link;
        Reading = ReadAsync();
    }

    /// <summary>Done when the link has ended.</summary>
    public Task Reading { get; }

    /// <summary>Control packets that have come.</summary>
    public IReadOnlyCollection<JsonElement> Control => _control;

    /// <summary>The link, for sending on it.</summary>
    public LinkPeer Link => _link;

    /// <summary>Connects, sends hello and gets its welcome.</summary>
    public static async Task<StanzaEcm> ConnectAsync(IPEndPoint to) => new(await LinkPeer.EcmAsync(to, framing: "stanza"));

    /// <summary>Connects and sends nothing: an ECM that supports only sections 1 to 3 of the protocol.</summary>
    public static async Task<StanzaEcm> ConnectPlainAsync(IPEndPoint to) => new(await LinkPeer.PlainEcmAsync(to));

    /// <summary>A client on an unused id. Its session is opened when it sends something.</summary>
    public (XmppClient Client, ulong Id) Open()
    {
        ulong id = ++_last;
        XmppClient client = new(bytes => _link.SendAsync(id, bytes));
        _clients[id] = client;
        return (client, id);
    }

    /// <summary>Waits for a control packet about this id.</summary>
    public Task<JsonElement> ControlAsync(string op, ulong id) => ControlAsync(
        message => message.GetProperty("op").GetString() == op && message.GetProperty("id").GetString() == $"{id}", $"{op} for {id}");

    /// <inheritdoc/>
    public void Dispose() => _link.Dispose();

    private async Task<JsonElement> ControlAsync(Func<JsonElement, bool> isIt, string what)
    {
        JsonElement found = default;
        await BoundedWait.UntilAsync(
            () => Task.FromResult((found = _control.FirstOrDefault(isIt)).ValueKind != JsonValueKind.Undefined),
            () => $"{what}; there are {string.Join(' ', _control)}");
        return found;
    }

    private async Task ReadAsync()
    {
        try
        {
            while (true)
            {
                Packet packet = await _link.ReceiveAsync();
                if (packet.Id == 0)
                {
                    _control.Enqueue(packet.Json);
                    continue;
                }

                // Packets that are under way when a client has left are dropped.
                if (!_clients.TryGetValue(packet.Id, out XmppClient? client)) continue;
                if (packet.IsEnd) client.OnEnd();
                else client.OnReceived(packet.Content);
            }
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException)
        {
            foreach (XmppClient client in _clients.Values) client.OnEnd();
        }
    }
}
