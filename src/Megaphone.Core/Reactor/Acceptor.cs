using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>Accepts connections from one listening socket in batches. Used by one thread at a time.</summary>
/// <remarks>
/// Clients get the descriptors below <see cref="DescriptorReserve"/>; above it they are closed at once. When descriptors run out all the
/// same, for the whole machine say, a spare one is given up for a moment, so that the connecting client is refused instead of left waiting
/// in the kernel's queue, where it would make a level-triggered epoll spin.
/// </remarks>
internal sealed unsafe class Acceptor : IDisposable
{
    /// <summary>Connections that are accepted before other events get their turn.</summary>
    private const int Batch = 64;

    private readonly int _number;
    private readonly TcpLivenessOptions _liveness;
    private readonly RoleMetrics _metrics;
    private int _spare;

    /// <summary>Binds the socket.</summary>
    /// <param name="number">The listener's place in the configuration, from 0.</param>
    /// <param name="endPoint">The address.</param>
    /// <param name="backlog">Connections that the kernel may hold ready.</param>
    /// <param name="liveness">How the kernel finds out that a client has vanished.</param>
    /// <param name="metrics">Where refused clients are counted.</param>
    /// <param name="inherited">A socket that listens there already, which is owned from here on; below 0: none.</param>
    /// <exception cref="ListenException">The address cannot be bound.</exception>
    public Acceptor(int number, IPEndPoint endPoint, int backlog, TcpLivenessOptions liveness, RoleMetrics metrics, int inherited = -1)
    {
        _number = number;
        _liveness = liveness;
        _metrics = metrics;
        Configured = endPoint;
        Descriptor = inherited;
        if (inherited < 0) Descriptor = NativeSocket.Listen(endPoint, backlog, liveness);
        else NativeSocket.ListenOn(inherited, endPoint, backlog, liveness);
        Listening = NativeSocket.LocalAddress(Descriptor).ToEndPoint();
        _spare = OpenSpare();
    }

    /// <summary>Gets a descriptor that was accepted, and owns it.</summary>
    /// <param name="descriptor">The client's socket.</param>
    /// <param name="peer">The client's address.</param>
    /// <param name="listener">The number of the listener.</param>
    public delegate void Accepted(int descriptor, in NativeAddress peer, int listener);

    /// <summary>The listening socket.</summary>
    public int Descriptor { get; }

    /// <summary>The address as it was asked for.</summary>
    public IPEndPoint Configured { get; }

    /// <summary>The real address and port.</summary>
    public IPEndPoint Listening { get; }

    /// <summary>Whether somebody waits to be accepted.</summary>
    public bool IsAwaited
    {
        get
        {
            PollDescriptor listener = new() { Descriptor = Descriptor, Wanted = Libc.PollIn };
            return Libc.Poll(&listener, 1, 0) == 1;
        }
    }

    /// <summary>Accepts who is waiting, up to a batch; those that are refused count as well.</summary>
    /// <param name="accepted">Gets each client.</param>
    /// <param name="most">Clients to accept at most, however many wait.</param>
    /// <returns>False when the machine is out of memory or descriptors and accepting should pause for a moment.</returns>
    public bool TryAccept(Accepted accepted, int most = Batch)
    {
        for (int i = 0; i < Math.Min(most, Batch); i++)
        {
            NativeAddress peer = default;
            uint length = NativeAddress.Size;

            // Clients stay over an exec, which is how they are handed over to it.
            int client = Libc.Accept(Descriptor, &peer, &length, Libc.SockNonBlock);
            if (client >= 0)
            {
                if (DescriptorReserve.Includes(client))
                {
                    _ = Libc.Close(client);
                    _metrics.AddRefused(RefusalReason.Descriptors);
                    continue;
                }

                NativeSocket.SpreadKeepAlive(client, _liveness);
                accepted(client, peer, _number);
                continue;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.TryAgain:
                    return true;
                case Errno.TooManyFiles or Errno.TooManyFilesInSystem:
                    if (!RefuseWithSpare()) return false;
                    break;
                case Errno.OutOfMemory or Errno.NoBufferSpace:
                    _metrics.AddRefused(RefusalReason.Memory);
                    return false;
                default:
                    // The client was gone before it was accepted (ECONNABORTED and the network errors of accept(2)).
                    break;
            }
        }

        return true;
    }

    /// <summary>Closes the socket: no more clients.</summary>
    public void Dispose()
    {
        _ = Libc.Close(Descriptor);
        if (_spare >= 0) _ = Libc.Close(_spare);
    }

    private static int OpenSpare() => Libc.EventFd(0, Libc.EventFdCloseOnExec);

    private bool RefuseWithSpare()
    {
        if (_spare < 0 && (_spare = OpenSpare()) < 0) return false;
        _ = Libc.Close(_spare);
        int client = Libc.Accept(Descriptor, null, null, Libc.SockCloseOnExec);
        if (client >= 0)
        {
            _ = Libc.Close(client);
            _metrics.AddRefused(RefusalReason.Descriptors);
        }

        _spare = OpenSpare();
        return client >= 0 && _spare >= 0;
    }
}
