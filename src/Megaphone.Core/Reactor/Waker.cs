using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>An eventfd with which other threads wake a reactor out of its wait. Thread-safe.</summary>
internal sealed unsafe class Waker : IDisposable
{
    private int _signalled;

    /// <exception cref="IOException">The kernel gives no descriptor.</exception>
    public Waker()
    {
        Descriptor = Libc.EventFd(0, Libc.EventFdNonBlock | Libc.EventFdCloseOnExec);
        if (Descriptor < 0) throw new IOException("eventfd: no descriptor left");
    }

    /// <summary>What epoll is to watch for input.</summary>
    public int Descriptor { get; }

    /// <summary>Wakes the reactor; further calls until it has woken up make no system call.</summary>
    public void Signal()
    {
        if (Interlocked.Exchange(ref _signalled, 1) != 0) return;
        ulong one = 1;
        _ = Libc.Write(Descriptor, &one, sizeof(ulong));
    }

    /// <summary>Called by the reactor before it finds out what it was woken for.</summary>
    public void Reset()
    {
        ulong count;
        _ = Libc.Read(Descriptor, &count, sizeof(ulong));
        Interlocked.Exchange(ref _signalled, 0);
    }

    /// <summary>Closes the descriptor.</summary>
    public void Dispose() => _ = Libc.Close(Descriptor);
}
