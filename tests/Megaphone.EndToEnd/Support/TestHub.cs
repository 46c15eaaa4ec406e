using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>A hub played by a test, to which an ECM connects its links.</summary>
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

    /// <summary>Accepts a link and sends nothing: for an ECM that uses only sections 1 to 3.</summary>
    public async Task<LinkPeer> AcceptPlainAsync()
    {
        Socket socket = await BoundedWait.WithinAsync(_listener.AcceptAsync(), "a link from the ECM");
        socket.NoDelay = true;
        return new LinkPeer(socket);
    }

    /// <summary>Accepts a link, receives its hello and welcomes it.</summary>
    public async Task<LinkPeer> AcceptAsync(int keepAlive = 15, string name = "test", bool logins = false, bool pieces = false)
    {
        LinkPeer link = await AcceptPlainAsync();
        Assert.Equal("hello", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        string tells = (logins ? ",\"logins\":true" : "") + (pieces ? ",\"pieces\":true" : "");
        await link.SendControlAsync(
            $$"""{"op":"welcome","version":1,"name":"{{name}}","maxPacket":1048576,"keepAlive":{{keepAlive}}{{tells}}}""");
        return link;
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();
}
