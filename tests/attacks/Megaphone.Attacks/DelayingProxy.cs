using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Megaphone.Attacks;

/// <summary>A proxy between an ECM and its hub that acts like a long cable, which can be cut: what the ECM sends arrives later.</summary>
internal sealed class DelayingProxy : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _sockets = [];
    private readonly IPEndPoint _to;
    private readonly IPAddress _from;
    private readonly TimeSpan _delay;

    /// <summary>Listens on a port of its own.</summary>
    /// <param name="to">The hub's address.</param>
    /// <param name="from">The address to connect to the hub from.</param>
    /// <param name="delay">The delay.</param>
    public DelayingProxy(IPEndPoint to, IPAddress from, TimeSpan delay)
    {
        (_to, _from, _delay) = (to, from, delay);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>The address that it listens on.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Tears down all connections.</summary>
    public void Cut()
    {
        lock (_sockets)
        {
            _sockets.ForEach(socket => socket.Close(0));
            _sockets.Clear();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        Cut();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = CarryAsync(await _listener.AcceptAsync());
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The end of the attack.
        }
    }

    private async Task CarryAsync(Socket here)
    {
        Socket there = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        here.NoDelay = true;
        lock (_sockets) _sockets.AddRange([here, there]);
        try
        {
            there.Bind(new IPEndPoint(_from, 0));
            await there.ConnectAsync(_to);
            await Task.WhenAny(CarryAsync(here, there, _delay), CarryAsync(there, here, TimeSpan.Zero));
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // Cut, or refused.
        }

        here.Close(0);
        there.Close(0);
    }

    private static async Task CarryAsync(Socket from, Socket to, TimeSpan delay)
    {
        Channel<(long Due, byte[] Bytes)> underWay = Channel.CreateUnbounded<(long, byte[])>();
        Task sending = SendAsync(underWay.Reader, to);
        byte[] some = new byte[64 << 10];
        try
        {
            while (await from.ReceiveAsync(some.AsMemory()) is > 0 and int read)
                underWay.Writer.TryWrite((Environment.TickCount64 + (long)delay.TotalMilliseconds, some[..read]));
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // What was sent before arrives all the same.
        }

        underWay.Writer.Complete();
        await sending;
    }

    private static async Task SendAsync(ChannelReader<(long Due, byte[] Bytes)> underWay, Socket to)
    {
        try
        {
            await foreach ((long due, byte[] bytes) in underWay.ReadAllAsync())
            {
                if (due - Environment.TickCount64 is > 0 and long early) await Task.Delay(TimeSpan.FromMilliseconds(early));
                ReadOnlyMemory<byte> rest = bytes;
                while (rest.Length > 0) rest = rest[await to.SendAsync(rest)..];
            }
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // Cut, or broken by the other end.
        }
    }
}
