using System.Net;
using System.Net.Sockets;

namespace Megaphone.Tests.Links;

/// <summary>Relays one TCP connection after another to an address, and cuts each when so many bytes have passed, wherever that is.</summary>
internal sealed class CuttingWire : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPEndPoint _to;
    private readonly Queue<Cut> _cuts;
    private readonly Lock _lock = new();
    private volatile bool _closed;

    /// <param name="to">The other end.</param>
    /// <param name="cuts">How each connection ends, in order; those that come later are not cut.</param>
    public CuttingWire(IPEndPoint to, IEnumerable<Cut> cuts)
    {
        _to = to;
        _cuts = new Queue<Cut>(cuts);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>How a connection is cut.</summary>
    /// <param name="AfterBytes">After how many bytes, of both directions together.</param>
    /// <param name="Reset">By a reset at both ends; else by the orderly end of a connection, without <c>close</c>.</param>
    public readonly record struct Cut(int AfterBytes, bool Reset);

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Cuts that are still to come.</summary>
    public int CutsLeft
    {
        get
        {
            lock (_lock) return _cuts.Count;
        }
    }

    public void Dispose()
    {
        _closed = true;
        _listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_closed)
        {
            try
            {
                Socket here = await _listener.AcceptAsync();
                Socket there = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                here.NoDelay = true;
                await there.ConnectAsync(_to);
                Cut? cut = null;
                lock (_lock)
                {
                    if (_cuts.TryDequeue(out Cut next)) cut = next;
                }

                Passing passing = new(here, there, cut);
                _ = passing.PassOnAsync(here, there);
                _ = passing.PassOnAsync(there, here);
            }
            catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
            {
                // The listener at the other end has closed it, or the test is over.
            }
        }
    }

    private sealed class Passing(Socket here, Socket there, Cut? cut)
    {
        private readonly bool _resets = cut is { Reset: true };
        private int _left = cut?.AfterBytes ?? 0;

        public async Task PassOnAsync(Socket from, Socket to)
        {
            byte[] some = new byte[16 << 10];
            try
            {
                while (await from.ReceiveAsync(some.AsMemory()) is > 0 and int read)
                {
                    int left = cut is null ? int.MaxValue : Interlocked.Add(ref _left, -read) + read;
                    ReadOnlyMemory<byte> rest = some.AsMemory(0, Math.Clamp(left, 0, read));
                    while (rest.Length > 0) rest = rest[await to.SendAsync(rest)..];
                    if (left <= read && cut is not null) break;
                }
            }
            catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
            {
                // Cut, or broken by one of the ends.
            }

            Close(here);
            Close(there);
        }

        private void Close(Socket end)
        {
            if (_resets) end.Close(0);
            else end.Close();
        }
    }
}
