using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>Relays TCP connections, and cuts them on request.</summary>
internal sealed class TcpProxy : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentDictionary<Socket, Socket> _connections = new();
    private readonly IPEndPoint _to;

    /// <summary>Listens on a port of its own, and passes on to that address.</summary>
    public TcpProxy(IPEndPoint to)
    {
        _to = to;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>The address.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Closes one of the connections, in both directions and whatever is under way.</summary>
    public void CutOne()
    {
        foreach ((Socket here, Socket there) in _connections.Take(1)) Cut(here, there);
    }

    /// <summary>Closes all of the connections that there are now, likewise.</summary>
    public void CutAll()
    {
        foreach ((Socket here, Socket there) in _connections) Cut(here, there);
    }

    /// <summary>Cuts an ECM's only link so many times, each as soon as it has come back, or a moment later.</summary>
    public async Task CutAgainAndAgainAsync(int cuts, MegaphoneProcess ecm)
    {
        Random random = new(1);
        for (int cut = 1; cut <= cuts; cut++)
        {
            await Task.Delay(random.Next(50));
            CutOne();
            await ecm.ReachesAsync(cut, "megaphone_link_cuts_total", "role=ecm");
            await ecm.ReachesAsync(cut, "megaphone_link_resumptions_total", "role=ecm");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        CutAll();
    }

    private void Cut(Socket here, Socket there)
    {
        _connections.TryRemove(here, out _);
        here.Close(0);
        there.Close(0);
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket here = await _listener.AcceptAsync();
                Socket there = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                here.NoDelay = true;
                await there.ConnectAsync(_to);
                _connections[here] = there;
                _ = PassOnAsync(here, there, here, there);
                _ = PassOnAsync(there, here, here, there);
            }
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The end of the test.
        }
    }

    private async Task PassOnAsync(Socket from, Socket to, Socket here, Socket there)
    {
        byte[] some = new byte[64 << 10];
        try
        {
            while (await from.ReceiveAsync(some.AsMemory()) is > 0 and int read)
            {
                ReadOnlyMemory<byte> rest = some.AsMemory(0, read);
                while (rest.Length > 0) rest = rest[await to.SendAsync(rest)..];
            }
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // Cut, or broken by one of the ends.
        }

        Cut(here, there);
    }
}
