using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>
/// Begins TLS on connections, many at the same time, on threads beside the reactors: STARTTLS where it is wanted, then OpenSSL's handshake, from
/// which the records are taken over.
/// </summary>
/// <remarks>All but the threads' own work is for the run's driver alone.</remarks>
internal sealed unsafe class TlsHandshakes : IDisposable
{
    private const ulong WakerData = 0;
    private const int ReadBytes = 4096;
    private const int StackBytes = 256 << 10;

    private readonly TlsClientContext _context;
    private readonly byte[]? _header;
    private readonly StreamSplitter _splitter;

    // An array whose memory does not move, since secrets are in it.
    private readonly PendingTlsClient[] _clients;
    private readonly string?[] _problems;
    private readonly Stack<int> _freeSlots;
    private readonly ConcurrentQueue<int> _ended = [];
    private readonly Epoll _epoll = new();
    private readonly Waker _waker = new();
    private readonly Thread[] _threads;
    private int _endedSinceTrim;
    private volatile bool _stopping;

    /// <summary>Starts the threads.</summary>
    /// <param name="context">Begins the handshakes; whoever made it disposes of it.</param>
    /// <param name="header">The stream header that STARTTLS begins with; null: there is none.</param>
    /// <param name="maxPending">The most connections at the same time.</param>
    public TlsHandshakes(TlsClientContext context, byte[]? header, int maxPending)
    {
        _context = context;
        _header = header;
        _splitter = new StreamSplitter(new PieceMemory((long)maxPending * StartTlsClient.MaxPieceBytes));
        _clients = GC.AllocateArray<PendingTlsClient>(maxPending, pinned: true);
        _problems = new string?[maxPending];
        _freeSlots = new Stack<int>(Enumerable.Range(0, maxPending));
        _epoll.Add(_waker.Descriptor, Libc.EpollIn, WakerData);
        _threads = new Thread[Environment.ProcessorCount];
        for (int i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Run, StackBytes) { Name = $"tls {i}", IsBackground = true };
            _threads[i].Start();
        }
    }

    /// <summary>
    /// Is given a connection that is secured, which it owns from then on, and the state of its TLS, which it moves from here; or a negative number,
    /// and the reason why there is none.
    /// </summary>
    public delegate void Ended(int index, int descriptor, ref TlsConnectionState tls, string? problem);

    /// <summary>Connections that are not secured yet.</summary>
    public int Pending => _clients.Length - _freeSlots.Count;

    /// <summary>Begins to secure a connection; fewer than the most are pending.</summary>
    /// <param name="index">Its index.</param>
    /// <param name="descriptor">Its socket, which is owned here from now on.</param>
    public void Begin(int index, int descriptor)
    {
        int slot = _freeSlots.Pop();
        ref PendingTlsClient client = ref _clients[slot];
        (client.Index, client.Descriptor) = (index, descriptor);
        client.Step = _header is null ? StartTlsStep.Done : StartTlsStep.Connection;
        int error = _epoll.Add(descriptor, Libc.EpollOut | Libc.EpollOneShot, EpollDataOf(slot));
        if (error == 0) return;
        _problems[slot] = $"no TLS, {Libc.Describe(error)}";
        _ended.Enqueue(slot);
    }

    /// <summary>
    /// Hands over the connections that are secured or have failed, without waiting. When none is left, what OpenSSL's handshakes took of the heap
    /// goes back to the kernel.
    /// </summary>
    public void Poll(Ended ended)
    {
        while (_ended.TryDequeue(out int slot))
        {
            ref PendingTlsClient client = ref _clients[slot];
            if (_problems[slot] is not null)
            {
                _ = Libc.Close(client.Descriptor);
                client.Descriptor = -1;
            }

            ended(client.Index, client.Descriptor, ref client.Tls, _problems[slot]);
            client = default;
            _problems[slot] = null;
            _freeSlots.Push(slot);
            _endedSinceTrim++;
        }

        if (Pending > 0 || _endedSinceTrim < _clients.Length) return;
        _ = Libc.TrimHeap(keep: 0);
        _endedSinceTrim = 0;
    }

    /// <summary>Stops the threads. Connections that are not secured yet are left to the end of the process.</summary>
    public void Dispose()
    {
        _stopping = true;
        _waker.Signal();
        foreach (Thread thread in _threads) thread.Join();
        _waker.Dispose();
        _epoll.Dispose();
    }

    private static ulong EpollDataOf(int slot) => (ulong)slot + 1;

    private void Run()
    {
        byte* memory = stackalloc byte[ReadBytes];
        Span<byte> buffer = new(memory, ReadBytes);
        EpollEvent one;
        while (!_stopping)
        {
            // One event at a time: a second one would wait for as long as a handshake's step takes, while another thread may be idle.
            if (_epoll.Wait(&one, 1, -1) == 0 || one.Data == WakerData) continue;
            int slot = (int)one.Data - 1;
            ref PendingTlsClient client = ref _clients[slot];
            uint events = Advance(ref client, buffer, out _problems[slot]);
            if (events != 0) _epoll.Change(client.Descriptor, events | Libc.EpollOneShot, one.Data);
            else End(slot, ref client);
        }
    }

    private void End(int slot, ref PendingTlsClient client)
    {
        _epoll.Remove(client.Descriptor);
        if (client.Session.Handle != 0) client.Session.Free();
        client.Secrets.Clear();
        _splitter.Release(ref client.Stream, StartTlsClient.MaxPieceBytes);
        _ended.Enqueue(slot);
    }

    /// <summary>Goes on with a connection whose socket is ready.</summary>
    /// <returns>What it waits for; 0: it is secured, or there is a problem.</returns>
    private uint Advance(ref PendingTlsClient client, Span<byte> buffer, out string? problem)
    {
        problem = null;
        if (client.Step != StartTlsStep.Done)
        {
            uint events = Negotiate(ref client, buffer, out problem);
            if (events != 0 || problem is not null) return events;
        }

        if (client.Session.Handle == 0) client.Session = _context.Open(client.Descriptor) ?? default;
        if (client.Session.Handle == 0)
        {
            problem = "no memory for a TLS handshake";
            return 0;
        }

        switch (client.Session.Handshake(ref client.Secrets))
        {
            case TlsStatus.WantRead:
                return Libc.EpollIn;
            case TlsStatus.WantWrite:
                return Libc.EpollOut;
            case TlsStatus.Done:
                if (!client.Secrets.TryTakeOver(client.Session.Handle, ref client.Tls))
                    problem = "the records of a TLS connection could not be taken over from OpenSSL";
                return 0;
            case TlsStatus.Failed:
                problem = _context.Explain(client.Session);
                return 0;
            default:
                problem = "the server ended a connection during its TLS handshake";
                return 0;
        }
    }

    /// <summary>Goes on with STARTTLS.</summary>
    /// <returns>What it waits for; 0: the handshake may begin, or there is a problem.</returns>
    private uint Negotiate(ref PendingTlsClient client, Span<byte> buffer, out string? problem)
    {
        if (client.Step == StartTlsStep.Connection)
        {
            client.Step = StartTlsStep.Header;
            problem = Send(client.Descriptor, _header);
            return problem is null ? Libc.EpollIn : 0;
        }

        problem = Receive(client.Descriptor, buffer, out ReadOnlySpan<byte> unread);
        while (problem is null && client.Step != StartTlsStep.Done)
        {
            switch (_splitter.Next(
                ref client.Stream, StartTlsClient.MaxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out StreamFault? fault))
            {
                case StreamSplitter.Step.Incomplete:
                    return Libc.EpollIn;
                case StreamSplitter.Step.Refused:
                    problem = $"the server sent what is no XMPP before TLS: {fault!.Reason}";
                    return 0;
                default:
                    problem = StartTlsClient.Handle(ref client.Step, piece, out ReadOnlySpan<byte> reply) ?? Send(client.Descriptor, reply);
                    break;
            }
        }

        // What comes in plain text behind it must not be taken for the beginning of the secured stream.
        if (problem is null && !unread.IsEmpty) problem = "the server sent plain text behind its <proceed/>";
        return 0;
    }

    /// <summary>Receives what has arrived: nothing, perhaps.</summary>
    private static string? Receive(int descriptor, Span<byte> buffer, out ReadOnlySpan<byte> received)
    {
        fixed (byte* start = buffer)
        {
            nint count = Libc.Receive(descriptor, start, (nuint)buffer.Length, Libc.MsgDontWait);
            received = buffer[..(int)Math.Max(0, count)];
            return count > 0 || (count < 0 && Marshal.GetLastPInvokeError() is Errno.TryAgain or Errno.Interrupted)
                ? null
                : "the server ended a connection before TLS";
        }
    }

    /// <summary>Sends a few bytes, for which a new connection always has room.</summary>
    private static string? Send(int descriptor, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return null;
        fixed (byte* start = bytes)
        {
            return Libc.Send(descriptor, start, (nuint)bytes.Length, Libc.MsgDontWait | Libc.MsgNoSignal) == bytes.Length
                ? null
                : "the server ended a connection before TLS";
        }
    }
}
