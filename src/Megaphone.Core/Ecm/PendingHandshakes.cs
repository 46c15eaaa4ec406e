using Megaphone.Interop;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>The clients before or in their TLS handshake: a bounded number of places, and the timeout that all have alike.</summary>
/// <remarks>Thread-safe. Since all have the same timeout, the order of arrival is the order of expiry.</remarks>
/// <param name="most">Places.</param>
/// <param name="timeout">From a client's connection to the end of its handshake.</param>
internal sealed class PendingHandshakes(int most, TimeSpan timeout) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly PendingHandshake?[] _clients = new PendingHandshake?[most];
    private readonly SlotMemory<HandshakeSecrets> _secrets = new(most, isSecret: true);
    private readonly Stack<int> _free = new(Enumerable.Range(0, most).Reverse());
    private readonly Queue<PendingHandshake> _byDeadline = new();
    private readonly List<int> _waiting = [];

    /// <summary>Places that are free.</summary>
    public int Room
    {
        get
        {
            lock (_lock) return _free.Count;
        }
    }

    /// <summary>The client in a place that is not free.</summary>
    public PendingHandshake this[int slot] => _clients[slot]!;

    /// <summary>What its handshake has told of its secrets; for the thread that handles it.</summary>
    public ref HandshakeSecrets SecretsOf(PendingHandshake client) => ref _secrets[client.Slot];

    /// <summary>Gives a client a place. There must be one.</summary>
    public PendingHandshake Add(int descriptor, in NativeAddress peer, int listener, StartTlsDialogue? dialogue)
    {
        lock (_lock)
        {
            PendingHandshake client = new()
            {
                Descriptor = descriptor,
                Peer = peer,
                Listener = listener,
                Slot = _free.Pop(),
                Deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds,
                Dialogue = dialogue,
            };
            _clients[client.Slot] = client;
            _byDeadline.Enqueue(client);
            if (_byDeadline.Count > 2 * most) DequeueRemoved();
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

    /// <summary>Milliseconds until the first timeout; -1 when nothing is pending.</summary>
    public int MillisecondsUntilTimeout()
    {
        lock (_lock)
        {
            PendingHandshake? oldest;
            while (_byDeadline.TryPeek(out oldest) && oldest.Removed) _byDeadline.Dequeue();
            if (oldest is null) return -1;
            return (int)Math.Clamp(oldest.Deadline - Environment.TickCount64, 0, int.MaxValue);
        }
    }

    /// <summary>Shuts down the sockets of clients that have had their time: the thread that handles one next finds it ended.</summary>
    public void Expire()
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

    /// <summary>Those that are pending. For when no thread handles any more.</summary>
    public PendingHandshake[] Left() => [.. _clients.OfType<PendingHandshake>()];

    /// <inheritdoc/>
    public void Dispose() => _secrets.Dispose();

    /// <summary>Keeps clients that are gone from piling up behind a silent one. The lock is held.</summary>
    private void DequeueRemoved()
    {
        for (int left = _byDeadline.Count; left > 0; left--)
        {
            PendingHandshake client = _byDeadline.Dequeue();
            if (!client.Removed) _byDeadline.Enqueue(client);
        }
    }
}
