using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Links;

/// <summary>Lets one thread sleep until another has work for it, without spinning and without a lost wake-up.</summary>
/// <remarks>
/// A futex. The sleeper announces that it is about to sleep, checks once more for work, and only then sleeps; the waker queues
/// work and then checks whether the other sleeps. Full fences on both sides: one of the two always sees the other.
/// </remarks>
internal sealed unsafe class Parker
{
    private const int Awake = 0;
    private const int Asleep = 1;

    // Pinned, so that the kernel can be given its address, and collected with the parker: a late wake-up does no harm.
    private readonly int[] _word = GC.AllocateArray<int>(32, pinned: true);

    private int* State => (int*)Marshal.UnsafeAddrOfPinnedArrayElement(_word, 16);

    /// <summary>Announces that the calling thread is about to sleep. It must check for work once more afterwards.</summary>
    public void Announce() => Interlocked.Exchange(ref *State, Asleep);

    /// <summary>Withdraws the announcement: there was work after all.</summary>
    public void Withdraw() => Interlocked.Exchange(ref *State, Awake);

    /// <summary>Sleeps until <see cref="Wake"/>, or not at all if that came since the announcement.</summary>
    public void Sleep()
    {
        while (Volatile.Read(ref *State) == Asleep) _ = Libc.Futex(State, Libc.FutexWaitPrivate, Asleep);
    }

    /// <summary>Wakes the thread if it sleeps or is about to. Thread-safe. The thread sees work that was queued before this call.</summary>
    public void Wake()
    {
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref *State) == Awake || Interlocked.Exchange(ref *State, Awake) == Awake) return;
        _ = Libc.Futex(State, Libc.FutexWakePrivate, 1);
    }
}
