namespace Megaphone.Reactor;

/// <summary>What other threads want a reactor's thread to do. Posting is thread-safe, and wakes the thread; taking is for it alone.</summary>
internal sealed class Mailbox : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Waker _waker = new();
    private PostedIds _posted = new();
    private PostedIds _taken = new();
    private Requests _requests;

    /// <summary>What concerns the reactor as a whole.</summary>
    [Flags]
    public enum Requests
    {
        /// <summary>Nothing.</summary>
        None = 0,

        /// <summary>Bring every connection up to date: there were more to be named than the mailbox holds.</summary>
        UpdateAll = 1,

        /// <summary>Ask the handler again about everything that it had no room for.</summary>
        ReleaseStalled = 2,

        /// <summary>Begin a sweep.</summary>
        Sweep = 4,

        /// <summary>Close the listeners.</summary>
        StopAccepting = 8,

        /// <summary>End the thread.</summary>
        Stop = 16,

        /// <summary>Begin a drain.</summary>
        Drain = 32,

        /// <summary>Close those that are marked with <see cref="ConnectionFlags.Kicked"/>.</summary>
        Kick = 64,
    }

    /// <summary>What epoll is to watch for input: it has some when something was posted.</summary>
    public int Descriptor => _waker.Descriptor;

    /// <summary>Asks that a connection be brought up to date.</summary>
    public void PostUpdate(ConnectionId id)
    {
        lock (_lock)
        {
            if (!_posted.TryAdd(id)) _requests |= Requests.UpdateAll;
        }

        _waker.Signal();
    }

    /// <summary>Asks for something that concerns the reactor as a whole.</summary>
    public void Post(Requests requests)
    {
        lock (_lock) _requests |= requests;
        _waker.Signal();
    }

    /// <summary>Takes out all that was posted.</summary>
    /// <param name="updates">The connections to bring up to date, valid until <see cref="Clear"/>; not all of them with
    /// <see cref="Requests.UpdateAll"/>.</param>
    public Requests Take(out ReadOnlySpan<ConnectionId> updates)
    {
        _waker.Reset();
        lock (_lock)
        {
            (_posted, _taken) = (_taken, _posted);
            updates = _taken.Ids;
            Requests requests = _requests;
            _requests = Requests.None;
            return requests;
        }
    }

    /// <summary>Forgets what was taken; to be called before the next <see cref="Take"/>.</summary>
    public void Clear() => _taken.Clear();

    /// <summary>Frees the memory and closes the descriptor. Nobody may post any more.</summary>
    public void Dispose()
    {
        _waker.Dispose();
        _posted.Dispose();
        _taken.Dispose();
    }
}
