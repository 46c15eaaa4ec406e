using System.Globalization;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>An honest client of ejabberd: it logs in without an account, and writes to another one, or pings the server (XEP-0199).</summary>
internal sealed class XmppHonestClient : HonestClient
{
    private readonly XmppClient _client;
    private XmppClient? _partner;
    private int _said;

    private XmppHonestClient(Stream stream)
        : base(stream)
    {
        _client = new XmppClient(bytes => Stream.WriteAsync(bytes).AsTask());
        _ = ReadAsync();
    }

    /// <summary>Logs in.</summary>
    public static async Task<HonestClient> LogInAsync(Stream stream)
    {
        XmppHonestClient honest = new(stream);
        await honest._client.LogInAsync();
        return honest;
    }

    /// <summary>Has two of them write to each other.</summary>
    public static void Pair(XmppHonestClient one, XmppHonestClient other) => (one._partner, other._partner) = (other._client, one._client);

    /// <inheritdoc/>
    public override async Task SayAsync()
    {
        if (_partner is null)
        {
            await _client.SettleAsync();
            return;
        }

        // Nobody but this client writes to its partner: what else comes there is a message that was lost, doubled or changed.
        string text = string.Create(CultureInfo.InvariantCulture, $"<body>number {++_said}</body>");
        await _client.SendAsync($"<message type='chat' to='{_partner.Address}'>{text}</message>");
        string arrived = await _partner.ExpectAsync("</message>");
        if (!arrived.Contains(text, StringComparison.Ordinal)) throw new InvalidDataException($"{arrived} came for {text}");
    }

    private async Task ReadAsync()
    {
        byte[] some = new byte[16 << 10];
        try
        {
            while (await Stream.ReadAsync(some) is > 0 and int read) _client.OnReceived(some.AsSpan(0, read));
        }
        catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException)
        {
            // A reset, or our own doing: an end all the same.
        }

        _client.OnEnd();
    }
}
