using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>
/// Takes the clients of listeners with TLS, brings them through STARTTLS and handshake, and hands them to the reactors, which
/// never see one before that.
/// </summary>
/// <remarks>
/// <para>Its threads share one epoll instance in which every descriptor is armed for one event at a time, so that one thread
/// works for a client until it arms it again. A handshake's costly steps hold up nobody but those who wait for one, too.</para>
/// <para>There are at most <see cref="EcmTlsOptions.MaxHandshakes"/> entrants; who comes then waits in the listeners' backlogs.
/// Entrants all have the same time, so the order of arrival is the order of expiry.</para>
/// </remarks>
internal sealed unsafe class ClientEntrance : IDisposable
{
    private const ulong WakerData = 0;
    private const int ReadBytes = 4096;
    private const int RestMilliseconds = 100;

    private readonly EcmOptions _options;
    private readonly EcmTlsOptions _tls;
    private readonly TlsServer _server;
    private readonly ReactorGroup<EcmClient> _clients;
    private readonly RoleMetrics _metrics;
    private readonly EcmLog _log;
    private readonly StreamSplitter _splitter;
    private readonly Epoll _epoll = new();
    private readonly Waker _waker = new();
    private readonly List<Acceptor> _acceptors = [];
    private readonly List<Acceptor.Accepted> _enter = [];
    private readonly Thread[] _threads;
    private readonly Lock _lock = new();
    private readonly Entrant?[] _entrants;
    private readonly Stack<int> _places = new();
    private readonly Queue<Entrant> _byAge = new();
    private readonly List<int> _full = [];
    private readonly Lock _accepting = new();
    private volatile bool _stopping;

    /// <summary>Makes it; nothing runs before <see cref="Start"/>.</summary>
    public ClientEntrance(EcmOptions options, EcmTlsOptions tls, TlsServer server, ReactorGroup<EcmClient> clients, RoleMetrics metrics, EcmLog log)
    {
        (_options, _tls, _server, _clients, _metrics, _log) = (options, tls, server, clients, metrics, log);
        _splitter = new StreamSplitter(new PieceMemory((long)tls.MaxHandshakes * StartTlsDialogue.MaxPieceBytes));
        _entrants = new Entrant?[tls.MaxHandshakes];
        for (int place = tls.MaxHandshakes - 1; place >= 0; place--) _places.Push(place);
        _threads = new Thread[Environment.ProcessorCount];
        for (int i = 0; i < _threads.Length; i++)
            _threads[i] = new Thread(Run, 256 << 10) { Name = $"tls {i}", IsBackground = true };
        _epoll.Add(_waker.Descriptor, Libc.EpollIn, WakerData);
    }

    /// <summary>Binds a listener. Before <see cref="Start"/>.</summary>
    /// <param name="number">Its place in the configuration.</param>
    /// <param name="listener">What it is like; with TLS.</param>
    /// <returns>The real address.</returns>
    /// <exception cref="ListenException">It cannot be bound.</exception>
    public IPEndPoint Listen(int number, ClientListenerOptions listener)
    {
        Acceptor acceptor = new(number, listener.Listen, _options.Backlog, _options.Liveness, _metrics);
        _acceptors.Add(acceptor);
        _enter.Add((int descriptor, in NativeAddress peer, int number) => Enter(listener.Tls, descriptor, peer, number));
        return acceptor.Listening;
    }

    /// <summary>Starts the threads.</summary>
    public void Start()
    {
        for (int i = 0; i < _acceptors.Count; i++) _epoll.Add(_acceptors[i].Descriptor, Libc.EpollIn | Libc.EpollOneShot, DataOf(i));
        foreach (Thread thread in _threads) thread.Start();
    }

    /// <summary>Ends the threads, closes the listeners, and drops who is on the way.</summary>
    public void Dispose()
    {
        _stopping = true;
        _waker.Signal();
        foreach (Thread thread in _threads)
        {
            if (thread.IsAlive) thread.Join();
        }

        foreach (Acceptor acceptor in _acceptors) acceptor.Dispose();
        foreach (Entrant? entrant in _entrants)
        {
            if (entrant is not null) Drop(entrant, HandshakeEnd.Dropped);
        }

        _epoll.Dispose();
        _waker.Dispose();
    }

    /// <summary>Listeners count from 1, entrants from behind them.</summary>
    private static ulong DataOf(int acceptor) => (ulong)acceptor + 1;

    private ulong DataOf(Entrant entrant) => (ulong)(_acceptors.Count + 1 + entrant.Place);

    private void Run()
    {
        byte* buffer = stackalloc byte[ReadBytes];
        Span<byte> bytes = new(buffer, ReadBytes);
        EpollEvent one;
        while (!_stopping)
        {
            // One at a time: the next may have to wait for as long as a handshake takes, and another thread may be idle.
            int count = _epoll.Wait(&one, 1, UntilExpiry());
            Expire();
            if (count == 0 || one.Data == WakerData) continue;
            if (one.Data <= (ulong)_acceptors.Count) Accept((int)one.Data - 1);
            else Serve(_entrants[(int)one.Data - 1 - _acceptors.Count]!, bytes);
        }
    }

    private void Accept(int index)
    {
        bool isFull, rests;
        lock (_accepting)
        {
            int room;
            lock (_lock) room = _places.Count;
            rests = !_acceptors[index].TryAccept(_enter[index], room);
            lock (_lock)
            {
                // Whoever leaves sets it going again.
                isFull = _places.Count == 0;
                if (isFull) _full.Add(index);
            }
        }

        if (isFull) return;
        if (rests) Thread.Sleep(RestMilliseconds);
        _epoll.Change(_acceptors[index].Descriptor, Libc.EpollIn | Libc.EpollOneShot, DataOf(index));
    }

    private void Enter(ClientTls mode, int descriptor, in NativeAddress peer, int listener)
    {
        if (_clients.GetRefusal() is { } reason)
        {
            _ = Libc.Close(descriptor);
            _metrics.AddRefused(reason);
            return;
        }

        Entrant entrant;
        lock (_lock)
        {
            entrant = new Entrant
            {
                Descriptor = descriptor,
                Peer = peer,
                Listener = listener,
                Place = _places.Pop(),
                Due = Environment.TickCount64 + (long)_tls.HandshakeTimeout.TotalMilliseconds,
                Dialogue = mode == ClientTls.StartTls ? new StartTlsDialogue(FindHost) : null,
            };
            _entrants[entrant.Place] = entrant;
            _byAge.Enqueue(entrant);
        }

        _metrics.AddHandshaking(1);
        if (_epoll.Add(descriptor, Libc.EpollIn | Libc.EpollOneShot, DataOf(entrant)) != 0) Drop(entrant, HandshakeEnd.Dropped);
    }

    private string? FindHost(string host) => HostName.Normalize(host) is { } name && _server.Covers(name) ? name : null;

    /// <summary>Milliseconds until the first entrant's time is up; -1 when there is none.</summary>
    private int UntilExpiry()
    {
        lock (_lock)
            return _byAge.TryPeek(out Entrant? oldest) ? (int)Math.Clamp(oldest.Due - Environment.TickCount64, 0, int.MaxValue) : -1;
    }

    private void Expire()
    {
        while (true)
        {
            Entrant? oldest;
            lock (_lock)
            {
                if (!_byAge.TryPeek(out oldest) || (!oldest.Removed && oldest.Due > Environment.TickCount64)) return;
                _byAge.Dequeue();
            }

            lock (oldest)
            {
                if (oldest.Removed) continue;
                oldest.Expired = true;
                _ = Libc.Shutdown(oldest.Descriptor, Libc.ShutBoth);
            }
        }
    }

    /// <summary>Something has come from an entrant, or can go to it.</summary>
    private void Serve(Entrant entrant, Span<byte> buffer)
    {
        lock (entrant)
        {
            if (entrant.Refused) ReadAway(entrant, buffer);
            else if (entrant.Dialogue is { } dialogue) Talk(entrant, dialogue, buffer);
            else Shake(entrant);
        }
    }

    /// <summary>Takes what a client says before TLS.</summary>
    private void Talk(Entrant entrant, StartTlsDialogue dialogue, Span<byte> buffer)
    {
        if (!TryReceive(entrant, buffer, out ReadOnlySpan<byte> unread)) return;
        SplitStep step;
        StreamFault? fault;
        while ((step = _splitter.Next(ref entrant.Stream, StartTlsDialogue.MaxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out fault)) == SplitStep.Piece)
        {
            // White space is no attack: it has no meaning, goes nowhere, and clients do end lines where the RFC wants none.
            bool more = XmlBytes.CountWhiteSpace(unread) < unread.Length;
            if (!TrySend(entrant, dialogue.Take(piece, more))) return;
            if (dialogue.IsOver)
            {
                if (dialogue.Refusal is { } condition) _metrics.AddStreamError(condition);
                LetGo(entrant, dialogue.Refusal is null ? HandshakeEnd.Abandoned : HandshakeEnd.StreamError);
                return;
            }

            if (!dialogue.Proceeds) continue;
            _splitter.Release(ref entrant.Stream, StartTlsDialogue.MaxPieceBytes);
            entrant.Host = dialogue.Host;
            entrant.Dialogue = null;
            Arm(entrant, Libc.EpollIn);
            return;
        }

        if (step == SplitStep.Incomplete)
        {
            Arm(entrant, Libc.EpollIn);
        }
        else if (TrySend(entrant, dialogue.Refuse(fault!.Condition)))
        {
            _metrics.AddStreamError(fault.Condition);
            LetGo(entrant, HandshakeEnd.StreamError);
        }
    }

    /// <summary>Goes on with a handshake.</summary>
    private void Shake(Entrant entrant)
    {
        entrant.Session ??= _server.Open(entrant.Descriptor, entrant.Host);
        if (entrant.Session is not { } session)
        {
            Drop(entrant, HandshakeEnd.Dropped);
            return;
        }

        switch (session.Handshake())
        {
            case TlsStatus.Done:
                Admit(entrant, session);
                break;
            case TlsStatus.WantRead:
                Arm(entrant, Libc.EpollIn);
                break;
            case TlsStatus.WantWrite:
                Arm(entrant, Libc.EpollOut);
                break;
            case TlsStatus.Failed:
                if (_log.TellsHandshakes) _log.HandshakeFailed(entrant.Peer.ToEndPoint(), OpenSsl.DescribeError());
                LetGo(entrant, HandshakeEnd.Failed);
                break;
            default:
                Drop(entrant, HandshakeEnd.Abandoned);
                break;
        }
    }

    private void Admit(Entrant entrant, TlsSession session)
    {
        TlsFacts facts = session.Facts();
        _epoll.Remove(entrant.Descriptor);
        Remove(entrant);
        _metrics.AddHandshake(facts.Resumed ? HandshakeEnd.Resumed : HandshakeEnd.Full);
        _clients.Accept(entrant.Descriptor, entrant.Peer, entrant.Listener, session, facts);
        _clients.Flush();
    }

    /// <summary>
    /// The client has been told why it goes no further. Its socket is closed when it has ended too, or its time is up: closed with
    /// input unread it would be reset, and that may take away what it was told.
    /// </summary>
    private void LetGo(Entrant entrant, HandshakeEnd end)
    {
        _metrics.AddHandshake(end);
        Release(entrant);
        entrant.Refused = true;
        _ = Libc.Shutdown(entrant.Descriptor, Libc.ShutWrite);
        Arm(entrant, Libc.EpollIn);
    }

    private void ReadAway(Entrant entrant, Span<byte> buffer)
    {
        if (TryReceive(entrant, buffer, out _)) Arm(entrant, Libc.EpollIn);
    }

    /// <summary>Reads what has come.</summary>
    /// <returns>False when the client has gone, and is dropped.</returns>
    private bool TryReceive(Entrant entrant, Span<byte> buffer, out ReadOnlySpan<byte> received)
    {
        fixed (byte* start = buffer)
        {
            nint count = Libc.Receive(entrant.Descriptor, start, (nuint)buffer.Length, Libc.MsgDontWait);
            received = buffer[..(int)Math.Max(0, count)];
            if (count > 0 || (count < 0 && Marshal.GetLastPInvokeError() is Errno.TryAgain or Errno.Interrupted)) return true;
        }

        Drop(entrant, HandshakeEnd.Abandoned);
        return false;
    }

    /// <summary>Sends a few hundred bytes, for which a client's socket has room unless it means harm.</summary>
    /// <returns>False when it has not, and is dropped.</returns>
    private bool TrySend(Entrant entrant, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            nint sent = Libc.Send(entrant.Descriptor, start, (nuint)bytes.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
            if (sent == bytes.Length) return true;
        }

        Drop(entrant, HandshakeEnd.Abandoned);
        return false;
    }

    private void Arm(Entrant entrant, uint events) =>
        _epoll.Change(entrant.Descriptor, events | Libc.EpollOneShot, DataOf(entrant));

    /// <summary>Closes an entrant's socket. How it ended counts unless that has been counted before.</summary>
    private void Drop(Entrant entrant, HandshakeEnd end)
    {
        if (!entrant.Refused) _metrics.AddHandshake(entrant.Expired ? HandshakeEnd.Timeout : end);
        Release(entrant);
        Remove(entrant);
        _ = Libc.Close(entrant.Descriptor);
    }

    private void Release(Entrant entrant)
    {
        if (entrant.Session is { } session) session.Free();
        entrant.Session = null;
        _splitter.Release(ref entrant.Stream, StartTlsDialogue.MaxPieceBytes);
    }

    /// <summary>Gives its place to another one.</summary>
    private void Remove(Entrant entrant)
    {
        _metrics.AddHandshaking(-1);
        lock (_lock)
        {
            entrant.Removed = true;
            _entrants[entrant.Place] = null;
            _places.Push(entrant.Place);
            foreach (int index in _full)
                _epoll.Change(_acceptors[index].Descriptor, Libc.EpollIn | Libc.EpollOneShot, DataOf(index));
            _full.Clear();
        }
    }
}
