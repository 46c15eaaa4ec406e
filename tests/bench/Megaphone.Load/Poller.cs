using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Load;

/// <summary>An epoll instance that can wait for less than a millisecond, which fixed rates need.</summary>
internal sealed unsafe partial class Poller
{
    private const int SetTimerSlack = 29;
    private const long NanosecondsPerSecond = 1_000_000_000;

    private readonly int _epoll = Libc.EpollCreate(Libc.EpollCloseOnExec);

    /// <summary>Watches a descriptor for input, or also for room for output.</summary>
    public void Add(int descriptor, uint data) => Control(Libc.EpollAdd, descriptor, Libc.EpollIn, data);

    /// <summary>Changes what a descriptor is watched for.</summary>
    public void Change(int descriptor, uint events, uint data) => Control(Libc.EpollModify, descriptor, events, data);

    /// <summary>Makes waits of this thread end on time; the kernel's default lets them be 50 µs late.</summary>
    public static void BePunctual() => _ = ProcessControl(SetTimerSlack, 1, 0, 0, 0);

    /// <summary>Waits; a negative time: for ever.</summary>
    /// <returns>How many events there are.</returns>
    public int Wait(Span<EpollEvent> events, long nanoseconds)
    {
        long* time = stackalloc long[2] { nanoseconds / NanosecondsPerSecond, nanoseconds % NanosecondsPerSecond };
        fixed (EpollEvent* first = events)
            return Math.Max(0, EpollWait(_epoll, first, events.Length, nanoseconds < 0 ? null : time, null));
    }

    private void Control(int operation, int descriptor, uint events, uint data)
    {
        EpollEvent @event = new() { Events = events, Data = data };
        if (Libc.EpollControl(_epoll, operation, descriptor, &@event) != 0)
            throw new IOException($"epoll_ctl: {Libc.Describe(Marshal.GetLastPInvokeError())}");
    }

    [LibraryImport("libc", EntryPoint = "epoll_pwait2", SetLastError = true)]
    private static partial int EpollWait(int epoll, EpollEvent* events, int capacity, long* timeout, void* signals);

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ProcessControl(int option, nuint a, nuint b, nuint c, nuint d);
}
