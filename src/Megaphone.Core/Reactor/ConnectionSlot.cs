using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>All that an idle connection costs here, beside the handler's own state: 28 bytes of native memory.</summary>
internal struct ConnectionSlot
{
    /// <summary>0: free; 1: held. Guards every other field against the threads that send.</summary>
    public int Gate;

    /// <summary>The socket. Closed by the reactor's thread only, with the gate held.</summary>
    public int Descriptor;

    /// <summary>See <see cref="ConnectionId.Generation"/>; 0 until the slot is used for the first time, and when its memory was given back.</summary>
    public uint Generation;

    /// <summary>What is true of the connection.</summary>
    public ConnectionFlags Flags;

    /// <summary>Whose it is, in the handler's own numbering; requests that name another owner find nothing.</summary>
    public int Owner;

    /// <summary>The next free slot, while this one is free; else the next one in the queue of the stalled, while it is in there.</summary>
    public int Next;

    /// <summary>Why it is being closed; meaningful with <see cref="ConnectionFlags.Aborting"/> or Closed.</summary>
    public CloseReason Reason;

    /// <summary>Which address is being tried, while connecting.</summary>
    public byte Attempt;

    /// <summary>Takes the gate. Held for the length of a system call, with TLS of a record that is opened or sealed, so waiting for it is short.</summary>
    public void Enter()
    {
        if (Interlocked.CompareExchange(ref Gate, 1, 0) == 0) return;
        SpinWait spin = default;
        do
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }
        while (Interlocked.CompareExchange(ref Gate, 1, 0) != 0);
    }

    /// <summary>Gives the gate back.</summary>
    public void Exit() => Volatile.Write(ref Gate, 0);

    /// <summary>Whether this is still that connection's, and not closed.</summary>
    public readonly bool Serves(ConnectionId id) => Generation == id.Generation && !Is(ConnectionFlags.Closed);

    /// <summary>Whether all of <paramref name="flag"/> is set.</summary>
    public readonly bool Is(ConnectionFlags flag) => (Flags & flag) == flag;

    /// <summary>Whether any of <paramref name="flags"/> is set.</summary>
    public readonly bool IsAny(ConnectionFlags flags) => (Flags & flags) != 0;

    /// <summary>Sets flags.</summary>
    public void Set(ConnectionFlags flags) => Flags |= flags;

    /// <summary>Clears flags.</summary>
    public void Clear(ConnectionFlags flags) => Flags &= ~flags;
}
