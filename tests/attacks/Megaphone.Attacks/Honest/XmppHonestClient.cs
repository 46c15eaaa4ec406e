using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>An honest client of ejabberd: it logs in without an account, and pings the server (XEP-0199).</summary>
internal sealed class XmppHonestClient : HonestClient
{
    private readonly XmppClient _client;

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

    /// <inheritdoc/>
    public override Task PingAsync() => _client.SettleAsync();

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
