using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>One epoll instance. Adding, changing and removing are thread-safe.</summary>
internal sealed unsafe class Epoll : IDisposable
{
    private int _descriptor;

    /// <exception cref="IOException">The kernel gives no instance.</exception>
    public Epoll()
    {
        _descriptor = Libc.EpollCreate(Libc.EpollCloseOnExec);
        if (_descriptor < 0) throw new IOException($"epoll_create1: {Libc.Describe(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>The instance, with all that it watches.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Puts an instance that was handed over, with all that it watches, in the place of its own.</summary>
    /// <exception cref="IOException">There is none.</exception>
    public void Adopt(int descriptor)
    {
        if (Libc.ControlDescriptor(descriptor, Libc.SetDescriptorFlags, Libc.DescriptorCloseOnExec) != 0)
            throw new IOException($"an epoll instance was not handed over: {Libc.Describe(Marshal.GetLastPInvokeError())}");
        _ = Libc.Close(_descriptor);
        _descriptor = descriptor;
    }

    /// <summary>Begins to watch a descriptor.</summary>
    /// <returns>0, or the error number.</returns>
    public int Add(int descriptor, uint events, ulong data) => Control(Libc.EpollAdd, descriptor, events, data);

    /// <summary>Changes what is watched.</summary>
    public void Change(int descriptor, uint events, ulong data) => _ = Control(Libc.EpollModify, descriptor, events, data);

    /// <summary>Ceases to watch a descriptor; closing it has the same effect.</summary>
    public void Remove(int descriptor) => _ = Control(Libc.EpollDelete, descriptor, 0, 0);

    /// <summary>Waits for events.</summary>
    /// <param name="events">Where they go.</param>
    /// <param name="capacity">How many fit.</param>
    /// <param name="timeout">Milliseconds; -1: for ever.</param>
    /// <returns>How many there are; 0 after the timeout, and when a signal interrupted.</returns>
    public int Wait(EpollEvent* events, int capacity, int timeout) =>
        Math.Max(0, Libc.EpollWait(_descriptor, events, capacity, timeout));

    /// <summary>Closes the instance.</summary>
    public void Dispose() => _ = Libc.Close(_descriptor);

    private int Control(int operation, int descriptor, uint events, ulong data)
    {
        EpollEvent @event = new() { Events = events, Data = data };
        return Libc.EpollControl(_descriptor, operation, descriptor, &@event) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }
}
