using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>Takes connections of peers that know nothing of XMPP, does STARTTLS for each, and from then on only passes bytes on.</summary>
internal sealed class StartTlsRelay : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPEndPoint _to;

    /// <summary>Begins.</summary>
    /// <param name="to">A listener with STARTTLS.</param>
    public StartTlsRelay(IPEndPoint to)
    {
        _to = to;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>Where peers connect to.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = RelayAsync(await _listener.AcceptAsync());
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The end of the test.
        }
    }

    private async Task RelayAsync(Socket accepted)
    {
        using (accepted)
        using (TlsClient client = await TlsClient.ConnectPlainAsync(_to))
        {
            await client.SendPlainAsync(
                "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>");
            await client.ReceivePlainAsync("</stream:features>");
            await client.SendPlainAsync("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            await client.ReceivePlainAsync("/>");
            await Task.WhenAll(PassOnAsync(accepted, client.Socket), PassOnAsync(client.Socket, accepted));
        }
    }

    private static async Task PassOnAsync(Socket from, Socket to)
    {
        try
        {
            byte[] some = new byte[64 << 10];
            while (await from.ReceiveAsync(some) is > 0 and int read)
            {
                for (ReadOnlyMemory<byte> rest = some.AsMemory(0, read); rest.Length > 0;) rest = rest[await to.SendAsync(rest)..];
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The other direction ends with the sockets.
            from.Close();
            to.Close();
        }
    }
}
