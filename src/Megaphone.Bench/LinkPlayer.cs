using Megaphone.Links;
using Megaphone.Protocol;

namespace Megaphone.Bench;

/// <summary>
/// One link of a played ECM, and its sessions: those whose index, divided by the number of links, leaves this link's number.
/// </summary>
/// <remarks>
/// A session's connection id is its index plus one, so none is ever used twice. What a paused session would send is held
/// back until it is resumed, as an ECM leaves it with its client.
/// </remarks>
internal sealed class LinkPlayer(XmppClients clients, int number, int links) : ILinkHandler, IReplySender, IDisposable
{
    /// <summary>Packets with which a client answers one packet at most.</summary>
    private const int MaxReplies = 3;

    private readonly TaskCompletionSource<Link> _up = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _room = new();
    private readonly Lock _pausing = new();
    private readonly Dictionary<int, Queue<byte[]>> _held = [];

    /// <summary>Paused sessions that the next <see cref="Flush"/> goes on with, unless they are paused once more before.</summary>
    private readonly HashSet<int> _resumed = [];

    private volatile Link? _current;
    private RingClaim _replyClaim;
    private long _pauses;

    /// <summary>The link, once it is up.</summary>
    public Task<Link> WhenUp => _up.Task;

    /// <summary>The link; null before it is up and after it is down.</summary>
    public Link? Current => _current;

    /// <summary>How often a session was paused.</summary>
    public long Pauses => Volatile.Read(ref _pauses);

    /// <summary>Whether the link is to be closed, so that its loss is no problem.</summary>
    public bool IsClosing { get; set; }

    /// <summary>Opens a session: queues its first packets, to be sent at the next <see cref="Flush"/>. For the run's driver.</summary>
    /// <param name="link">The link, up.</param>
    /// <param name="index">The session's index.</param>
    /// <param name="scheduled">When that was due.</param>
    /// <param name="proxy">The PROXY header, which an ECM sends as soon as a client connects; empty: none.</param>
    /// <returns>False when there is no room now; see <see cref="WaitForRoom"/>.</returns>
    public bool TryOpen(Link link, int index, long scheduled, ReadOnlySpan<byte> proxy)
    {
        _room.Reset();
        if (!link.TryClaim(proxy.Length + clients.Header.Length, out RingClaim claim, packets: 2)) return false;
        clients.Open(index, scheduled);
        clients.Sessions[index].Life.Open();
        if (!proxy.IsEmpty) claim.Commit(IdOf(index), proxy);
        claim.Commit(IdOf(index), clients.Header);
        claim.Release();
        return true;
    }

    /// <summary>Queues a part of a session's stream, to be sent at the next <see cref="Flush"/>. For the run's driver.</summary>
    /// <param name="index">The session's index.</param>
    /// <param name="piece">Empty: the end of the stream.</param>
    /// <returns>False when there is no room now; see <see cref="WaitForRoom"/>. True on a link that is down, as its sessions are closed.</returns>
    public bool TrySend(int index, ReadOnlySpan<byte> piece)
    {
        if (_current is not { } link || (clients.Sessions[index].Paused && TryHold(index, piece))) return true;
        _room.Reset();
        return TryWrite(link, index, piece);
    }

    /// <summary>Sends everything that is queued, and what was held back for sessions that are resumed. For the run's driver.</summary>
    public void Flush()
    {
        lock (_pausing)
        {
            // An enumerator stays valid when what it is at is removed.
            foreach (int index in _resumed)
            {
                if (!TryRelease(index)) break;
            }
        }

        if (_current is { } link) PendingFlushes.Add(link);
        PendingFlushes.Flush();
    }

    /// <summary>Waits until there may be room again after a refusal.</summary>
    public void WaitForRoom(TimeSpan longest) => _room.Wait(longest);

    /// <inheritdoc/>
    public void OnUp(Link link)
    {
        _current = link;
        _up.SetResult(link);
    }

    /// <inheritdoc/>
    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        if (id - 1 >= (ulong)clients.Sessions.Count || (int)(id - 1) % links != number)
        {
            clients.Problems.Add("a packet arrived for a session that was never opened");
            return Outcome.Done;
        }

        // A packet is only handled when there is room for the answers. But clients that are online receive much and answer next to nothing,
        // and must receive while the ring is full of messages: two ends that wait for each other's room would wait for ever.
        int index = (int)(id - 1);
        bool room = link.TryClaim(MaxReplies * LoginMachine.MaxReply, out _replyClaim, MaxReplies);
        if (!room && (clients.Sessions[index].IsLoggingIn || clients.Sessions[index].EndRequested)) return Outcome.WouldBlock;
        clients.Receive(this, index, content);
        _replyClaim.Release();
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public bool TryReply(int index, ReadOnlySpan<byte> piece)
    {
        if (clients.Sessions[index].Paused && TryHold(index, piece)) return true;
        if (piece.IsEmpty) return _current is not { } link || TryWrite(link, index, piece);
        if (!_replyClaim.Fits(piece.Length)) return false;
        _replyClaim.Commit(IdOf(index), piece);
        if (_current is { } current) PendingFlushes.Add(current);
        return true;
    }

    /// <inheritdoc/>
    public void OnControl(Link link, ControlMessage message)
    {
        if (message.Id is not { } id || id - 1 >= (ulong)clients.Sessions.Count || (int)(id - 1) % links != number) return;
        int index = (int)(id - 1);
        switch (message.Op)
        {
            case ControlOp.Reset:
                clients.Lose(index, $"the other side reset a session: {message.Reason ?? "no reason given"}");
                break;
            case ControlOp.Pause:
                Interlocked.Increment(ref _pauses);
                lock (_pausing)
                {
                    clients.Sessions[index].Paused = true;
                    _held.TryAdd(index, new Queue<byte[]>());
                    _resumed.Remove(index);
                }

                break;
            case ControlOp.Resume:
                lock (_pausing)
                {
                    if (_held.ContainsKey(index)) _resumed.Add(index);
                }

                break;
        }
    }

    /// <inheritdoc/>
    public void OnWritable(Link link) => _room.Set();

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        _current = null;
        string? problem = IsClosing ? null : "a session was lost with its link";
        for (int index = number; index < clients.Sessions.Count; index += links) clients.Lose(index, problem);
        _room.Set();
    }

    /// <summary>Frees what waits for room. The link must be down.</summary>
    public void Dispose() => _room.Dispose();

    private static ulong IdOf(int index) => (ulong)index + 1;

    private bool TryWrite(Link link, int index, ReadOnlySpan<byte> piece)
    {
        if (!piece.IsEmpty) return link.TryWrite(IdOf(index), piece);

        // The run's driver ends a login that is never answered, the receiver whatever the server ends.
        lock (_pausing) return clients.Sessions[index].Life.TrySendEnd(link, IdOf(index));
    }

    private bool TryHold(int index, ReadOnlySpan<byte> piece)
    {
        lock (_pausing)
        {
            if (!_held.TryGetValue(index, out Queue<byte[]>? held)) return false;
            held.Enqueue(piece.ToArray());
            return true;
        }
    }

    /// <summary>Queues what a session has sent while it was paused. The caller holds <see cref="_pausing"/>.</summary>
    /// <returns>False when there is no room for all of it now.</returns>
    private bool TryRelease(int index)
    {
        Queue<byte[]> held = _held[index];
        while (held.TryPeek(out byte[]? piece))
        {
            if (_current is { } link && !TryWrite(link, index, piece)) return false;
            held.Dequeue();
        }

        _held.Remove(index);
        _resumed.Remove(index);
        clients.Sessions[index].Paused = false;
        return true;
    }
}
