using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>
/// Accepts the clients of listeners with TLS, takes them through STARTTLS and the handshake, and passes them to the reactors, which
/// see a client only after that.
/// </summary>
/// <remarks>
/// <para>Its threads share one epoll instance in which every descriptor is armed for one event at a time, so that one thread
/// handles a client until it arms it again. The costly steps of a handshake delay only other handshakes.</para>
/// <para>There are at most <see cref="EcmTlsOptions.MaxHandshakes"/> pending handshakes; further clients wait in the listeners' backlogs.
/// All have the same timeout, so the order of arrival is the order of expiry.</para>
/// </remarks>
internal sealed unsafe class TlsAcceptor : IDisposable
{
    private const ulong WakerData = 0;
    private const int ReadBytes = 4096;
    private const int BackoffMilliseconds = 100;

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
    private readonly List<Acceptor.Accepted> _onAccepted = [];
    private readonly Thread[] _threads;
    private readonly Lock _lock = new();
    private readonly PendingHandshake?[] _pending;
    private readonly SlotMemory<HandshakeSecrets> _secrets;
    private readonly Stack<int> _freeSlots = new();
    private readonly Queue<PendingHandshake> _byDeadline = new();
    private readonly List<int> _waitingListeners = [];
    private readonly Lock _accepting = new();
    private volatile bool _stopping;

    /// <summary>Makes the acceptor; nothing runs before <see cref="Start"/>.</summary>
    public TlsAcceptor(EcmOptions options, EcmTlsOptions tls, TlsServer server, ReactorGroup<EcmClient> clients, RoleMetrics metrics, EcmLog log)
    {
        (_options, _tls, _server, _clients, _metrics, _log) = (options, tls, server, clients, metrics, log);
        _splitter = new StreamSplitter(new PieceMemory((long)tls.MaxHandshakes * StartTlsDialogue.MaxPieceBytes));
        _pending = new PendingHandshake?[tls.MaxHandshakes];
        _secrets = new SlotMemory<HandshakeSecrets>(tls.MaxHandshakes, isSecret: true);
        for (int slot = tls.MaxHandshakes - 1; slot >= 0; slot--) _freeSlots.Push(slot);
        _threads = new Thread[Environment.ProcessorCount];
        for (int i = 0; i < _threads.Length; i++)
            _threads[i] = new Thread(Run, 256 << 10) { Name = $"tls {i}", IsBackground = true };
        _epoll.Add(_waker.Descriptor, Libc.EpollIn, WakerData);
    }

    /// <summary>Binds a listener. Before <see cref="Start"/>.</summary>
    /// <param name="number">Its index in the configuration.</param>
    /// <param name="listener">Its settings; with TLS.</param>
    /// <returns>The address with the real port.</returns>
    /// <exception cref="ListenException">It cannot be bound.</exception>
    public IPEndPoint Listen(int number, ClientListenerOptions listener)
    {
        Acceptor acceptor = new(number, listener.Listen, _options.Backlog, _options.Liveness, _metrics);
        _acceptors.Add(acceptor);
        _onAccepted.Add((int descriptor, in NativeAddress peer, int number) => OnAccepted(listener.Tls, descriptor, peer, number));
        return acceptor.Listening;
    }

    /// <summary>Starts the threads.</summary>
    public void Start()
    {
        for (int i = 0; i < _acceptors.Count; i++) _epoll.Add(_acceptors[i].Descriptor, Libc.EpollIn | Libc.EpollOneShot, EpollDataOf(i));
        foreach (Thread thread in _threads) thread.Start();
    }

    /// <summary>Stops the threads, and closes the listeners and the pending clients.</summary>
    public void Dispose()
    {
        _stopping = true;
        _waker.Signal();
        foreach (Thread thread in _threads)
        {
            if (thread.IsAlive) thread.Join();
        }

        foreach (Acceptor acceptor in _acceptors) acceptor.Dispose();
        foreach (PendingHandshake? client in _pending)
        {
            if (client is not null) Drop(client, HandshakeEnd.Dropped);
        }

        _secrets.Dispose();
        _epoll.Dispose();
        _waker.Dispose();
    }

    /// <summary>Listeners count from 1, pending handshakes follow them.</summary>
    private static ulong EpollDataOf(int acceptor) => (ulong)acceptor + 1;

    private ulong EpollDataOf(PendingHandshake client) => (ulong)(_acceptors.Count + 1 + client.Slot);

    private void Run()
    {
        byte* buffer = stackalloc byte[ReadBytes];
        Span<byte> bytes = new(buffer, ReadBytes);
        EpollEvent one;
        while (!_stopping)
        {
            // One event at a time: a second one would wait for as long as a handshake step takes, while another thread may be idle.
            int count = _epoll.Wait(&one, 1, MillisecondsUntilTimeout());
            Expire();
            if (count == 0 || one.Data == WakerData) continue;
            if (one.Data <= (ulong)_acceptors.Count) Accept((int)one.Data - 1);
            else Handle(_pending[(int)one.Data - 1 - _acceptors.Count]!, bytes);
        }
    }

    private void Accept(int index)
    {
        bool isFull, mustBackOff;
        lock (_accepting)
        {
            int room;
            lock (_lock) room = _freeSlots.Count;
            mustBackOff = !_acceptors[index].TryAccept(_onAccepted[index], room);
            lock (_lock)
            {
                // Remove resumes it.
                isFull = _freeSlots.Count == 0;
                if (isFull) _waitingListeners.Add(index);
            }
        }

        if (isFull) return;
        if (mustBackOff) Thread.Sleep(BackoffMilliseconds);
        _epoll.Change(_acceptors[index].Descriptor, Libc.EpollIn | Libc.EpollOneShot, EpollDataOf(index));
    }

    private void OnAccepted(ClientTls mode, int descriptor, in NativeAddress peer, int listener)
    {
        if (_clients.GetRefusal() is { } reason)
        {
            _ = Libc.Close(descriptor);
            _metrics.AddRefused(reason);
            return;
        }

        PendingHandshake client;
        lock (_lock)
        {
            client = new PendingHandshake
            {
                Descriptor = descriptor,
                Peer = peer,
                Listener = listener,
                Slot = _freeSlots.Pop(),
                Deadline = Environment.TickCount64 + (long)_tls.HandshakeTimeout.TotalMilliseconds,
                Dialogue = mode == ClientTls.StartTls ? new StartTlsDialogue(FindHost) : null,
            };
            _pending[client.Slot] = client;
            _byDeadline.Enqueue(client);
            if (_byDeadline.Count > 2 * _pending.Length) DequeueRemoved();
        }

        _metrics.AddHandshaking(1);
        if (_epoll.Add(descriptor, Libc.EpollIn | Libc.EpollOneShot, EpollDataOf(client)) != 0) Drop(client, HandshakeEnd.Dropped);
    }

    private string? FindHost(string host) => HostName.Normalize(host) is { } name && _server.Covers(name) ? name : null;

    /// <summary>Milliseconds until the first timeout; -1 when nothing is pending.</summary>
    private int MillisecondsUntilTimeout()
    {
        lock (_lock)
        {
            if (!_byDeadline.TryPeek(out PendingHandshake? oldest)) return -1;
            return (int)Math.Clamp(oldest.Deadline - Environment.TickCount64, 0, int.MaxValue);
        }
    }

    /// <summary>Keeps clients that are gone from piling up behind a silent one. The lock is held.</summary>
    private void DequeueRemoved()
    {
        for (int left = _byDeadline.Count; left > 0; left--)
        {
            PendingHandshake client = _byDeadline.Dequeue();
            if (!client.Removed) _byDeadline.Enqueue(client);
        }
    }

    private void Expire()
    {
        while (true)
        {
            PendingHandshake? oldest;
            lock (_lock)
            {
                if (!_byDeadline.TryPeek(out oldest) || (!oldest.Removed && oldest.Deadline > Environment.TickCount64)) return;
                _byDeadline.Dequeue();
            }

            lock (oldest)
            {
                if (oldest.Removed) continue;
                oldest.Expired = true;
                _ = Libc.Shutdown(oldest.Descriptor, Libc.ShutBoth);
            }
        }
    }

    /// <summary>Handles a pending client whose socket is readable or writable.</summary>
    private void Handle(PendingHandshake client, Span<byte> buffer)
    {
        lock (client)
        {
            if (client.Rejected) DiscardInput(client, buffer);
            else if (client.Dialogue is { } dialogue) HandlePreTls(client, dialogue, buffer);
            else AdvanceHandshake(client);
        }
    }

    /// <summary>Handles what a client sends before TLS.</summary>
    private void HandlePreTls(PendingHandshake client, StartTlsDialogue dialogue, Span<byte> buffer)
    {
        if (!TryReceive(client, buffer, out ReadOnlySpan<byte> unread)) return;
        const int MaxPieceBytes = StartTlsDialogue.MaxPieceBytes;
        StreamSplitter.Step step;
        StreamFault? fault;
        while ((step = _splitter.Next(ref client.Stream, MaxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out fault))
            == StreamSplitter.Step.Piece)
        {
            // White space is not an attack: it is dropped, and some clients end lines where the RFC allows none.
            bool more = XmlBytes.CountWhiteSpace(unread) < unread.Length;
            if (!TrySend(client, dialogue.Accept(piece, more))) return;
            if (dialogue.IsOver)
            {
                if (dialogue.Refusal is { } condition) _metrics.AddStreamError(condition);
                Reject(client, dialogue.Refusal is null ? HandshakeEnd.Abandoned : HandshakeEnd.StreamError);
                return;
            }

            if (!dialogue.HasProceeded) continue;
            _splitter.Release(ref client.Stream, MaxPieceBytes);
            client.Host = dialogue.Host;
            client.Dialogue = null;
            Arm(client, Libc.EpollIn);
            return;
        }

        if (step == StreamSplitter.Step.Incomplete)
        {
            Arm(client, Libc.EpollIn);
        }
        else if (TrySend(client, dialogue.Refuse(fault!.Condition)))
        {
            _metrics.AddStreamError(fault.Condition);
            Reject(client, HandshakeEnd.StreamError);
        }
    }

    /// <summary>Advances a handshake as far as the received bytes allow.</summary>
    private void AdvanceHandshake(PendingHandshake client)
    {
        client.Session ??= _server.Open(client.Descriptor, client.Host);
        if (client.Session is not { } session)
        {
            Drop(client, HandshakeEnd.Dropped);
            return;
        }

        switch (session.Handshake(ref _secrets[client.Slot]))
        {
            case TlsStatus.Done:
                Accept(client, session);
                break;
            case TlsStatus.WantRead:
                Arm(client, Libc.EpollIn);
                break;
            case TlsStatus.WantWrite:
                Arm(client, Libc.EpollOut);
                break;
            case TlsStatus.Failed:
                if (_log.LogsHandshakes) _log.HandshakeFailed(client.Peer.ToEndPoint(), OpenSsl.DescribeError());
                Reject(client, HandshakeEnd.Failed);
                break;
            default:
                Drop(client, HandshakeEnd.Abandoned);
                break;
        }
    }

    /// <summary>Passes a client whose handshake is done to the reactors.</summary>
    private void Accept(PendingHandshake client, TlsSession session)
    {
        AcceptedTls tls = new() { Facts = session.Facts(_tls.ChannelBinding) };
        if (_server.Records == RecordLayer.OpenSsl)
        {
            tls.Session = session;
        }
        else if (_secrets[client.Slot].TryTakeOver(session.Handle, ref tls.State))
        {
            session.Free();
        }
        else
        {
            Drop(client, HandshakeEnd.NotTakenOver);
            return;
        }

        client.Session = null;
        Release(client);
        _epoll.Remove(client.Descriptor);
        Remove(client);
        _metrics.AddHandshake(tls.Facts.Resumed ? HandshakeEnd.Resumed : HandshakeEnd.Full);
        _clients.Accept(client.Descriptor, client.Peer, client.Listener, ref tls);
        _clients.Flush();
    }

    /// <summary>
    /// Ends our direction after an error was sent. The socket is closed when the client has ended too, or at the timeout: closing it with
    /// unread input would send a reset, and the client might lose the error.
    /// </summary>
    private void Reject(PendingHandshake client, HandshakeEnd end)
    {
        _metrics.AddHandshake(end);
        Release(client);
        client.Rejected = true;
        _ = Libc.Shutdown(client.Descriptor, Libc.ShutWrite);
        Arm(client, Libc.EpollIn);
    }

    private void DiscardInput(PendingHandshake client, Span<byte> buffer)
    {
        if (TryReceive(client, buffer, out _)) Arm(client, Libc.EpollIn);
    }

    /// <summary>Receives what has arrived.</summary>
    /// <returns>False when the client has disconnected, and is dropped.</returns>
    private bool TryReceive(PendingHandshake client, Span<byte> buffer, out ReadOnlySpan<byte> received)
    {
        fixed (byte* start = buffer)
        {
            nint count = Libc.Receive(client.Descriptor, start, (nuint)buffer.Length, Libc.MsgDontWait);
            received = buffer[..(int)Math.Max(0, count)];
            if (count > 0 || (count < 0 && Marshal.GetLastPInvokeError() is Errno.TryAgain or Errno.Interrupted)) return true;
        }

        Drop(client, HandshakeEnd.Abandoned);
        return false;
    }

    /// <summary>Sends a few hundred bytes, for which the socket of a well-behaved client always has room.</summary>
    /// <returns>False when there is no room, and the client is dropped.</returns>
    private bool TrySend(PendingHandshake client, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            nint sent = Libc.Send(client.Descriptor, start, (nuint)bytes.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
            if (sent == bytes.Length) return true;
        }

        Drop(client, HandshakeEnd.Abandoned);
        return false;
    }

    private void Arm(PendingHandshake client, uint events) =>
        _epoll.Change(client.Descriptor, events | Libc.EpollOneShot, EpollDataOf(client));

    /// <summary>Closes a pending client's socket. Its end is counted, unless it has been counted already.</summary>
    private void Drop(PendingHandshake client, HandshakeEnd end)
    {
        if (!client.Rejected) _metrics.AddHandshake(client.Expired ? HandshakeEnd.Timeout : end);
        Release(client);
        Remove(client);
        _ = Libc.Close(client.Descriptor);
    }

    private void Release(PendingHandshake client)
    {
        if (client.Session is { } session) session.Free();
        client.Session = null;
        _secrets[client.Slot].Clear();
        _splitter.Release(ref client.Stream, StartTlsDialogue.MaxPieceBytes);
    }

    /// <summary>Frees its slot, and resumes the listeners that waited for one.</summary>
    private void Remove(PendingHandshake client)
    {
        _metrics.AddHandshaking(-1);
        lock (_lock)
        {
            client.Removed = true;
            _pending[client.Slot] = null;
            _freeSlots.Push(client.Slot);
            foreach (int index in _waitingListeners)
                _epoll.Change(_acceptors[index].Descriptor, Libc.EpollIn | Libc.EpollOneShot, EpollDataOf(index));
            _waitingListeners.Clear();
        }
    }
}
