using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Unix;

namespace Megaphone.Reactor;

/// <summary>Accepts connections from one listening socket in batches. Used by one thread at a time.</summary>
/// <remarks>
/// <para>Clients get the descriptors below <see cref="DescriptorReserve"/>. A few above it are kept for a moment if somebody else gives way: as
/// soon as his is closed, the client gets a lower one (<see cref="TakeFreed"/>), for the number alone is to say whether the others are in use. All
/// others are closed at once.</para>
/// <para>When descriptors run out all the same, for the whole machine say, a spare one is given up for a moment, so that the connecting client is
/// refused instead of left waiting in the kernel's queue, where it would make a level-triggered epoll spin.</para>
/// </remarks>
internal sealed unsafe class Acceptor : IDisposable
{
    /// <summary>Milliseconds after which it is looked again whether a client that waits can have a descriptor.</summary>
    public const int NextLook = 5;

    /// <summary>Connections that are accepted before other events get their turn.</summary>
    private const int Batch = 64;

    /// <summary>Clients that may wait for a descriptor at the same time: a quarter of what is kept back for what nobody has thought of.</summary>
    private const int MostAwaiting = 16;

    /// <summary>Milliseconds that a client may wait for one.</summary>
    private const int LongestWait = 1_000;


    private readonly int _number;
    private readonly TcpLivenessOptions _liveness;
    private readonly RoleMetrics _metrics;
    private readonly GivesWay? _givesWay;
    private readonly Queue<(int Descriptor, NativeAddress Peer, long Until)> _awaiting = new();
    private volatile bool _hasAwaiting;
    private readonly string? _path;
    private int _spare;

    /// <summary>Binds the socket.</summary>
    /// <param name="number">The listener's place in the configuration, from 0.</param>
    /// <param name="endPoint">The address.</param>
    /// <param name="backlog">Connections that the kernel may hold ready.</param>
    /// <param name="liveness">How the kernel finds out that a client has vanished.</param>
    /// <param name="metrics">Where refused clients are counted.</param>
    /// <param name="inherited">A socket that listens there already, which is owned from here on; below 0: none.</param>
    /// <param name="mode">The mode of a Unix socket's file.</param>
    /// <param name="givesWay">Is asked when no descriptor is left for a client; null: nobody gives way.</param>
    /// <exception cref="ListenException">The address cannot be bound.</exception>
    public Acceptor(
        int number, EndPoint endPoint, int backlog, TcpLivenessOptions liveness, RoleMetrics metrics, int inherited = -1,
        UnixFileMode mode = default, GivesWay? givesWay = null)
    {
        _path = (endPoint as UnixEndPoint)?.Path;
        if (_path is not null) inherited = UnixPath.Inherit(_path, inherited, mode);
        _number = number;
        _liveness = liveness;
        _metrics = metrics;
        _givesWay = givesWay;
        Configured = endPoint;
        Descriptor = inherited;
        if (inherited < 0) Descriptor = NativeSocket.Listen(endPoint, backlog, liveness, mode);
        else NativeSocket.ListenOn(inherited, endPoint, backlog, liveness);
        Listening = _path is null ? NativeSocket.LocalAddress(Descriptor).ToEndPoint() : endPoint;
        _spare = OpenSpare();
    }

    /// <summary>Gets a descriptor that was accepted, and owns it.</summary>
    /// <param name="descriptor">The client's socket.</param>
    /// <param name="peer">The client's address.</param>
    /// <param name="listener">The number of the listener.</param>
    public delegate void Accepted(int descriptor, in NativeAddress peer, int listener);

    /// <summary>Has somebody end who has not logged in, so that a client gets his descriptor.</summary>
    /// <returns>Whether there is one.</returns>
    public delegate bool GivesWay(in NativeAddress peer);

    /// <summary>Whether a client waits for a descriptor: <see cref="TakeFreed"/> is to be called within <see cref="NextLook"/>. Any thread.</summary>
    public bool HasAwaiting => _hasAwaiting;

    /// <summary>The listening socket.</summary>
    public int Descriptor { get; }

    /// <summary>The address as it was asked for.</summary>
    public EndPoint Configured { get; }

    /// <summary>The real address and port.</summary>
    public EndPoint Listening { get; }

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
        for (int i = _hasAwaiting ? TakeFreed(accepted, most) : 0; i < Math.Min(most, Batch); i++)
        {
            NativeAddress peer = default;
            uint length = NativeAddress.Size;

            // Clients stay over an exec, which is how they are handed over to it.
            int client = Libc.Accept(Descriptor, &peer, &length, Libc.SockNonBlock);
            if (client >= 0)
            {
                if (_path is not null) peer = NativeAddress.Unix;
                if (!DescriptorReserve.Includes(client)) Serve(client, peer, accepted);
                else if (_awaiting.Count < MostAwaiting && _givesWay?.Invoke(peer) == true) Await(client, peer);
                else Refuse(client);
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

    /// <summary>Gives clients that wait for a descriptor those that others have given up. Who waits for too long is refused.</summary>
    /// <param name="accepted">Gets each client.</param>
    /// <param name="most">Clients to pass on at most.</param>
    /// <returns>How many were passed on.</returns>
    public int TakeFreed(Accepted accepted, int most)
    {
        int taken = 0;
        while (taken < most && _awaiting.TryPeek(out (int Descriptor, NativeAddress Peer, long Until) first))
        {
            // The lowest that is free; the copy stays over an exec again.
            int lower = Libc.ControlDescriptor(first.Descriptor, Libc.Duplicate, 0);
            if (lower >= 0 && !DescriptorReserve.Includes(lower))
            {
                _ = Libc.Close(first.Descriptor);
                Serve(lower, first.Peer, accepted);
                taken++;
            }
            else
            {
                if (lower >= 0) _ = Libc.Close(lower);
                if (Environment.TickCount64 < first.Until) break;
                Refuse(first.Descriptor);
            }

            _awaiting.Dequeue();
        }

        _hasAwaiting = _awaiting.Count > 0;
        return taken;
    }

    /// <summary>Closes the socket: no more clients. The file of a Unix socket goes, too.</summary>
    public void Dispose()
    {
        while (_awaiting.TryDequeue(out (int Descriptor, NativeAddress, long) one)) _ = Libc.Close(one.Descriptor);
        _hasAwaiting = false;
        _ = Libc.Close(Descriptor);
        if (_path is not null) UnixPath.Remove(_path);
        if (_spare >= 0) _ = Libc.Close(_spare);
    }

    private static int OpenSpare() => Libc.EventFd(0, Libc.EventFdCloseOnExec);

    private void Serve(int client, in NativeAddress peer, Accepted accepted)
    {
        if (_path is null) NativeSocket.SpreadKeepAlive(client, _liveness);
        accepted(client, peer, _number);
    }

    private void Await(int client, in NativeAddress peer)
    {
        // Until it is accepted it is nobody's, and not handed over.
        _ = Libc.ControlDescriptor(client, Libc.SetDescriptorFlags, Libc.DescriptorCloseOnExec);
        _awaiting.Enqueue((client, peer, Environment.TickCount64 + LongestWait));
        _hasAwaiting = true;
    }

    private void Refuse(int client)
    {
        _ = Libc.Close(client);
        _metrics.AddRefused(RefusalReason.Descriptors);
    }

    private bool RefuseWithSpare()
    {
        if (_spare < 0 && (_spare = OpenSpare()) < 0) return false;
        _ = Libc.Close(_spare);
        int client = Libc.Accept(Descriptor, null, null, Libc.SockCloseOnExec);
        if (client >= 0) Refuse(client);
        _spare = OpenSpare();
        return client >= 0 && _spare >= 0;
    }
}
