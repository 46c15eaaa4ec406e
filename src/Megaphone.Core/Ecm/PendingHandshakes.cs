using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>The clients before or in their TLS handshake: a bounded number of places, and the timeouts that all have alike.</summary>
/// <remarks>
/// <para>Thread-safe. Since all have the same timeouts, the order of arrival is the order of expiry.</para>
/// <para>Who says nothing has less time, and still less while a listener waits for a place. One from an address that has very many of them,
/// silent or slow, is ended even before that (<see cref="TryEvict"/>).</para>
/// </remarks>
/// <param name="most">Places.</param>
/// <param name="timeout">From a client's connection to the end of its handshake.</param>
internal sealed class PendingHandshakes(int most, TimeSpan timeout) : IDisposable
{
    /// <summary>Milliseconds that a client may say nothing: enough for two retransmissions of its first packet.</summary>
    private const int LongestSilence = 5_000;

    /// <summary>The same while a listener waits for a place.</summary>
    private const int LongestSilenceWhenFull = 1_000;

    /// <summary>Milliseconds after which one who has said something counts as slow, while others wait: some round trips.</summary>
    private const int Slow = 250;

    /// <summary>Milliseconds after which it is looked again for somebody who gives way.</summary>
    private const int NextLook = 50;

    private readonly Lock _lock = new();
    private readonly PendingHandshake?[] _clients = new PendingHandshake?[most];
    private readonly SlotMemory<HandshakeSecrets> _secrets = new(most, isSecret: true);
    private readonly Stack<int> _free = new(Enumerable.Range(0, most).Reverse());
    private readonly Queue<PendingHandshake> _byDeadline = new();
    private readonly Queue<PendingHandshake> _bySilence = new();
    private readonly List<int> _waiting = [];
    private PendingHandshake? _evicted;

    /// <summary>Places that are free.</summary>
    public int Room
    {
        get
        {
            lock (_lock) return _free.Count;
        }
    }

    /// <summary>Whether a listener waits for a place.</summary>
    public bool IsAwaited
    {
        get
        {
            lock (_lock) return _waiting.Count > 0;
        }
    }

    /// <summary>The client in a place that is not free.</summary>
    public PendingHandshake this[int slot] => _clients[slot]!;

    /// <summary>What its handshake has told of its secrets; for the thread that handles it.</summary>
    public ref HandshakeSecrets SecretsOf(PendingHandshake client) => ref _secrets[client.Slot];

    /// <summary>Gives a client a place. There must be one.</summary>
    public PendingHandshake Add(int descriptor, in NativeAddress peer, int listener, StartTlsDialogue? dialogue, bool isProxied)
    {
        lock (_lock)
        {
            PendingHandshake client = new()
            {
                Descriptor = descriptor,
                Peer = peer,
                Listener = listener,
                Slot = _free.Pop(),
                ArrivedAt = Environment.TickCount64,
                Deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds,
                Dialogue = dialogue,
                AwaitsProxyHeader = isProxied,
                HasArrived = !isProxied,
            };
            _clients[client.Slot] = client;
            _byDeadline.Enqueue(client);
            _bySilence.Enqueue(client);
            if (_byDeadline.Count > 2 * most) DequeueRemoved(_byDeadline);
            if (_bySilence.Count > 2 * most) DequeueRemoved(_bySilence);
            return client;
        }
    }

    /// <summary>Frees a client's place, and zeroes its secrets.</summary>
    /// <returns>The listeners that have waited for one.</returns>
    public int[] Remove(PendingHandshake client)
    {
        _secrets[client.Slot].Clear();
        lock (_lock)
        {
            client.Removed = true;
            _clients[client.Slot] = null;
            _free.Push(client.Slot);
            if (_waiting.Count == 0) return [];
            int[] waiting = [.. _waiting];
            _waiting.Clear();
            return waiting;
        }
    }

    /// <summary>Has a listener wait for a place if there is none: <see cref="Remove"/> names it.</summary>
    /// <returns>False when there is one.</returns>
    public bool MustWait(int listener)
    {
        lock (_lock)
        {
            if (_free.Count > 0) return false;
            _waiting.Add(listener);
            return true;
        }
    }

    /// <summary>Milliseconds until the first timeout, and no more than a moment while a listener waits; -1 when nothing is pending.</summary>
    public int MillisecondsUntilTimeout()
    {
        lock (_lock)
        {
            long first = Math.Min(OldestDeadline(out _), OldestSilence(out _));
            long most = _waiting.Count > 0 ? NextLook : int.MaxValue;
            return first == long.MaxValue ? -1 : (int)Math.Clamp(first - Environment.TickCount64, 0, most);
        }
    }

    /// <summary>Ends clients that have had their time.</summary>
    public void Expire()
    {
        while (TakeLate() is { } late) End(late, HandshakeEnd.Timeout);
    }

    /// <summary>Ends a client that has said nothing, or is slow, of the address with the most clients who have not logged in, as far as some
    /// tell. One at a time: not before the last one's place is free.</summary>
    /// <param name="limits">Knows who has not logged in.</param>
    /// <param name="most">More than so many are very many.</param>
    /// <returns>False when among these none has very many.</returns>
    public bool TryEvict(ClientLimits limits, int most = ClientLimits.FewOfAddress)
    {
        if (Volatile.Read(ref _evicted) is { Removed: false }) return false;
        PendingHandshake? worst = null;
        long slowSince = Environment.TickCount64 - Slow;
        int places = _clients.Length, taken = places - Room;
        if (taken <= most) return false;
        for (int left = ClientLimits.SampleSize * places / taken; left > 0; left--)
        {
            PendingHandshake? client = Volatile.Read(ref _clients[Random.Shared.Next(_clients.Length)]);
            if (client is null or { Expired: not null } || (client.HasSpoken && client.ArrivedAt > slowSince)) continue;
            int ofAddress = limits.NotLoggedIn(client.Peer);
            bool isWorse = ofAddress > most || (ofAddress == most && client.ArrivedAt < worst?.ArrivedAt);
            if (isWorse) (worst, most) = (client, ofAddress);
        }

        Volatile.Write(ref _evicted, worst);
        if (worst is not null) End(worst, HandshakeEnd.GaveWay);
        return worst is not null;
    }

    /// <summary>Those that are pending. For when no thread handles any more.</summary>
    public PendingHandshake[] Left() => [.. _clients.OfType<PendingHandshake>()];

    /// <inheritdoc/>
    public void Dispose() => _secrets.Dispose();

    /// <summary>Shuts down a client's socket: the thread that handles it next finds it ended.</summary>
    private static void End(PendingHandshake client, HandshakeEnd how)
    {
        lock (client)
        {
            if (client.Removed || client.Expired is not null) return;
            client.Expired = how;
            _ = Libc.Shutdown(client.Descriptor, Libc.ShutBoth);
        }
    }

    /// <summary>Keeps clients that are gone from piling up behind one that stays. The lock is held.</summary>
    private static void DequeueRemoved(Queue<PendingHandshake> queue)
    {
        for (int left = queue.Count; left > 0; left--)
        {
            PendingHandshake client = queue.Dequeue();
            if (!client.Removed) queue.Enqueue(client);
        }
    }

    private PendingHandshake? TakeLate()
    {
        lock (_lock)
        {
            long now = Environment.TickCount64;
            if (OldestSilence(out PendingHandshake? client) <= now) _bySilence.Dequeue();
            else if (OldestDeadline(out client) <= now) _byDeadline.Dequeue();
            else client = null;
            return client;
        }
    }

    /// <summary>When the first client has had its time. The lock is held.</summary>
    private long OldestDeadline(out PendingHandshake? oldest)
    {
        while (_byDeadline.TryPeek(out oldest) && oldest.Removed) _byDeadline.Dequeue();
        return oldest?.Deadline ?? long.MaxValue;
    }

    /// <summary>When the first client that has said nothing has been silent for too long. The lock is held.</summary>
    private long OldestSilence(out PendingHandshake? oldest)
    {
        while (_bySilence.TryPeek(out oldest) && (oldest.Removed || oldest.HasSpoken)) _bySilence.Dequeue();
        return oldest is null ? long.MaxValue : oldest.ArrivedAt + (_waiting.Count > 0 ? LongestSilenceWhenFull : LongestSilence);
    }
}
