using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>The listeners of a reactor. Not thread-safe; while descriptors or memory have run out it accepts nothing for a moment.</summary>
internal sealed class Listeners(Epoll epoll) : IDisposable
{
    /// <summary>How long accepting pauses, in milliseconds.</summary>
    private const int PauseMilliseconds = 100;

    private readonly List<Acceptor> _acceptors = [];
    private Acceptor.Accepted? _accepted;
    private long _resumeAt;

    /// <summary>Adds a listener, of which epoll tells by its number, counted from 1.</summary>
    /// <param name="acceptor">The listener, which is owned from here on.</param>
    /// <param name="accepted">Gets each client; the same for all listeners.</param>
    public void Add(Acceptor acceptor, Acceptor.Accepted accepted)
    {
        _accepted = accepted;
        _acceptors.Add(acceptor);
        epoll.Add(acceptor.Descriptor, Libc.EpollIn, (ulong)_acceptors.Count);
    }

    /// <summary>Accepts clients from a listener, of which epoll has told.</summary>
    public void Accept(int number)
    {
        // The listeners may have been closed by what this same batch of events brought.
        if (number > _acceptors.Count || _acceptors[number - 1].TryAccept(_accepted!)) return;
        Watch(0);
        _resumeAt = Environment.TickCount64 + PauseMilliseconds;
    }

    /// <summary>Milliseconds until accepting goes on; <see cref="int.MaxValue"/> when it does not pause.</summary>
    public int UntilResume(long now) => _resumeAt == 0 ? int.MaxValue : (int)Math.Max(0, _resumeAt - now);

    /// <summary>The same for clients that wait for a descriptor.</summary>
    public int UntilLook => _acceptors.Exists(static acceptor => acceptor.HasAwaiting) ? Acceptor.NextLook : int.MaxValue;

    /// <summary>Passes on clients that have waited for a descriptor, and goes on with accepting if the pause is over.</summary>
    public void ResumeIfDue(long now)
    {
        foreach (Acceptor acceptor in _acceptors)
        {
            if (acceptor.HasAwaiting) acceptor.TakeFreed(_accepted!, int.MaxValue);
        }

        if (UntilResume(now) > 0) return;
        _resumeAt = 0;
        Watch(Libc.EpollIn);
    }

    /// <summary>Closes the listeners.</summary>
    public void Dispose()
    {
        foreach (Acceptor acceptor in _acceptors) acceptor.Dispose();
        _acceptors.Clear();
    }

    private void Watch(uint events)
    {
        for (int i = 0; i < _acceptors.Count; i++) epoll.Change(_acceptors[i].Descriptor, events, (ulong)i + 1);
    }
}
