using System.Collections.Concurrent;
using Megaphone.Links;
using Megaphone.Protocol;

namespace Megaphone.Bench;

/// <summary>
/// One link of a played ECM, and the sessions on it: every one whose place is this link's number, plus a multiple of the
/// links.
/// </summary>
/// <remarks>
/// A session's connection id is its place plus one, so none is ever used twice. What a paused session would say is held
/// back until it is resumed, as an ECM leaves it with its client.
/// </remarks>
internal sealed class LinkPlayer(XmppClients play, int number, int links) : ILinkHandler, IReplySender, IDisposable
{
    /// <summary>Packets with which a client answers one packet at most.</summary>
    private const int MaxReplies = 3;

    private readonly TaskCompletionSource<Link> _up = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _room = new();
    private readonly Lock _pausing = new();
    private readonly Dictionary<int, Queue<byte[]>> _held = [];
    private readonly ConcurrentQueue<int> _resumed = new();
    private volatile Link? _current;
    private RingClaim _replyClaim;
    private long _pauses;

    /// <summary>The link, once it is up.</summary>
    public Task<Link> WhenUp => _up.Task;

    /// <summary>The link; null before it is up and after it is down.</summary>
    public Link? Current => _current;

    /// <summary>How often a session was paused.</summary>
    public long Pauses => Volatile.Read(ref _pauses);

    /// <summary>The link is to go: that it is lost then is no problem.</summary>
    public bool LossIsMeant { get; set; }

    /// <summary>Opens a session: queues its first packets, to be sent at the next <see cref="Flush"/>. For the run's driver.</summary>
    /// <param name="link">The link, up.</param>
    /// <param name="index">The session's place.</param>
    /// <param name="scheduled">When that was to happen.</param>
    /// <param name="proxy">The PROXY header, which an ECM sends as soon as a client connects; empty: none.</param>
    /// <returns>False when there is no room now; see <see cref="WaitForRoom"/>.</returns>
    public bool TryOpen(Link link, int index, long scheduled, ReadOnlySpan<byte> proxy)
    {
        _room.Reset();
        if (!link.TryClaim(proxy.Length + play.Header.Length, out RingClaim claim, packets: 2)) return false;
        play.Open(index, scheduled);
        play.Sessions[index].Life.Open();
        if (!proxy.IsEmpty) claim.Commit(IdOf(index), proxy);
        claim.Commit(IdOf(index), play.Header);
        claim.Release();
        return true;
    }

    /// <summary>Queues what a session says, to be sent at the next <see cref="Flush"/>. For the run's driver.</summary>
    /// <param name="index">The session's place.</param>
    /// <param name="piece">Empty: the end.</param>
    /// <returns>False when there is no room now; see <see cref="WaitForRoom"/>. True on a link that is down: its sessions are.</returns>
    public bool TrySend(int index, ReadOnlySpan<byte> piece)
    {
        if (_current is not { } link || (play.Sessions[index].Paused && TryHold(index, piece))) return true;
        _room.Reset();
        return TryWrite(link, index, piece);
    }

    /// <summary>Has everything sent that was queued, and what was held back for sessions that are resumed. For the run's driver.</summary>
    public void Flush()
    {
        while (_resumed.TryPeek(out int index) && TryRelease(index)) _resumed.TryDequeue(out _);
        if (_current is { } link) FlushBatch.Add(link);
        FlushBatch.Flush();
    }

    /// <summary>Waits until there is room again after a refusal. Returns early, or late, without harm.</summary>
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
        if (id - 1 >= (ulong)play.Sessions.Count || (int)(id - 1) % links != number)
        {
            play.Problems.Add("a packet came for a session that was never opened");
            return Outcome.Done;
        }

        // Room first, for what is taken is answered. But who is online hears much and answers next to nothing, and must go on
        // hearing while the ring is full of messages: two ends that wait for each other's room would wait for ever.
        int index = (int)(id - 1);
        bool room = link.TryClaim(MaxReplies * LoginMachine.MaxReply, out _replyClaim, MaxReplies);
        if (!room && (play.Sessions[index].IsLoggingIn || play.Sessions[index].EndSaid)) return Outcome.WouldBlock;
        play.Receive(this, index, content);
        _replyClaim.Release();
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public bool TryReply(int index, ReadOnlySpan<byte> piece)
    {
        if (play.Sessions[index].Paused && TryHold(index, piece)) return true;
        if (piece.IsEmpty) return _current is not { } link || TryWrite(link, index, piece);
        if (!_replyClaim.Fits(piece.Length)) return false;
        _replyClaim.Commit(IdOf(index), piece);
        return true;
    }

    /// <inheritdoc/>
    public void OnControl(Link link, ControlMessage message)
    {
        if (message.Id is not { } id || id - 1 >= (ulong)play.Sessions.Count || (int)(id - 1) % links != number) return;
        int index = (int)(id - 1);
        switch (message.Op)
        {
            case ControlOp.Reset:
                play.Lose(index, $"the other side reset a session: {message.Reason ?? "no reason given"}");
                break;
            case ControlOp.Pause:
                Interlocked.Increment(ref _pauses);
                lock (_pausing)
                {
                    play.Sessions[index].Paused = true;
                    _held.TryAdd(index, new Queue<byte[]>());
                }

                break;
            case ControlOp.Resume:
                _resumed.Enqueue(index);
                break;
        }
    }

    /// <inheritdoc/>
    public void OnBatchEnded(Link link)
    {
        FlushBatch.Add(link);
        FlushBatch.Flush();
    }

    /// <inheritdoc/>
    public void OnWritable(Link link) => _room.Set();

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        _current = null;
        string? problem = LossIsMeant ? null : "a session was lost with its link";
        for (int index = number; index < play.Sessions.Count; index += links) play.Lose(index, problem);
        _room.Set();
    }

    /// <summary>Releases what waits for room. The link must be down.</summary>
    public void Dispose() => _room.Dispose();

    private static ulong IdOf(int index) => (ulong)index + 1;

    private bool TryWrite(Link link, int index, ReadOnlySpan<byte> piece)
    {
        if (!piece.IsEmpty) return link.TryWrite(IdOf(index), piece);

        // The pacer ends a login that is never answered, and the receiver whatever the server ends.
        lock (_pausing) return play.Sessions[index].Life.TrySendEnd(link, IdOf(index));
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

    /// <summary>Queues what a session said while it was paused.</summary>
    /// <returns>False when there is no room for all of it now.</returns>
    private bool TryRelease(int index)
    {
        lock (_pausing)
        {
            if (!_held.TryGetValue(index, out Queue<byte[]>? held)) return true;
            while (held.TryPeek(out byte[]? piece))
            {
                if (_current is { } link && !TryWrite(link, index, piece)) return false;
                held.Dequeue();
            }

            _held.Remove(index);
            play.Sessions[index].Paused = false;
            return true;
        }
    }
}
