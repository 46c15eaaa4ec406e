using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>What an ECM connects its links to, in a test's hands.</summary>
internal sealed class TestHub : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    /// <summary>Listens on a port of its own, or on a given one.</summary>
    public TestHub(int port = 0)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        _listener.Listen();
    }

    /// <summary>The address.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Takes a link and says nothing: for an ECM that speaks sections 1 to 3 only.</summary>
    public async Task<LinkPeer> AcceptPlainAsync()
    {
        Socket socket = await Patience.WithinAsync(_listener.AcceptAsync(), "a link from the ECM");
        socket.NoDelay = true;
        return new LinkPeer(socket);
    }

    /// <summary>Takes a link, hears its hello and welcomes it.</summary>
    public async Task<LinkPeer> AcceptAsync(int keepAlive = 15)
    {
        LinkPeer link = await AcceptPlainAsync();
        Assert.Equal("hello", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        await link.SendControlAsync($$"""{"op":"welcome","version":1,"name":"test","maxPacket":1048576,"keepAlive":{{keepAlive}}}""");
        return link;
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();
}
