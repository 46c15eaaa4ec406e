using System.Diagnostics;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>All that an idle connection costs here, beside the handler's own state: 24 bytes of native memory.</summary>
internal struct ConnectionSlot
{
    /// <summary>With any of these nothing is read.</summary>
    private const ConnectionFlags KeepsFromReading =
        ConnectionFlags.ReadPaused | ConnectionFlags.ReadStalled | ConnectionFlags.ReadEnded | ConnectionFlags.TlsWantsWrite | ConnectionFlags.Held;

    /// <summary>Only a connection with TLS has these.</summary>
    private const ConnectionFlags WantTls =
        ConnectionFlags.TlsHoldsInput | ConnectionFlags.TlsAwaitsRecord | WantOpenSsl | ConnectionFlags.OpenSslRecords;

    /// <summary>Only a connection whose records OpenSSL opens has these.</summary>
    private const ConnectionFlags WantOpenSsl = ConnectionFlags.TlsWantsWrite | ConnectionFlags.TlsWantsRead;

    /// <summary>Only an established connection has these: those that are marked with <c>c</c> in the table.</summary>
    private const ConnectionFlags WantConnected = WantTls | ConnectionFlags.Secured | ConnectionFlags.ReadStalled | ConnectionFlags.ReadEnded
        | ConnectionFlags.WriteEnded | ConnectionFlags.WatchesInput | ConnectionFlags.Unwatched | ConnectionFlags.Held;

    /// <summary>The socket, -1 when there is none. Closed by the reactor's thread only, with the gate held.</summary>
    public int Descriptor;

    /// <summary>See <see cref="ConnectionId.Generation"/>; 0 until the slot is used for the first time, and when its memory was given back.</summary>
    public uint Generation;

    /// <summary>What is true of the connection.</summary>
    public ConnectionFlags Flags;

    /// <summary>Whose it is, in the handler's own numbering; requests that name another owner find nothing.</summary>
    public int Owner;

    /// <summary>The next free slot, while this one is free; else the next one in the queue of the stalled, while it is in there.</summary>
    public int Next;

    /// <summary>0: free; 1: held. Guards every other field against the threads that send.</summary>
    public byte Gate;

    /// <summary>Why it is being closed; meaningful with Aborting, CloseWhenFlushed, ConnectFailed or Closed, and behind last words.</summary>
    public CloseReason Reason;

    /// <summary>Which address is being tried, while connecting; once accepted, which deadline for being admitted counts.</summary>
    public byte Attempt;

    /// <summary>Whether it has TLS whose records are opened and sealed here, not by OpenSSL.</summary>
    public readonly bool HasRecords => (Flags & (ConnectionFlags.Secured | ConnectionFlags.OpenSslRecords)) == ConnectionFlags.Secured;

    /// <summary>Whether the reactor may read from it.</summary>
    public readonly bool MayRead => !IsAny(KeepsFromReading);

    /// <summary>Takes the gate. It is held for one system call and one TLS record, so waiting for it is short.</summary>
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
    public void Exit()
    {
        AssertInvariants();
        Volatile.Write(ref Gate, 0);
    }

    /// <summary>Whether this is still that connection's, and it is not closed.</summary>
    public readonly bool IsOpen(ConnectionId id) => Generation == id.Generation && !Is(ConnectionFlags.Closed);

    /// <summary>Whether all of <paramref name="flag"/> is set.</summary>
    public readonly bool Is(ConnectionFlags flag) => (Flags & flag) == flag;

    /// <summary>Whether any of <paramref name="flags"/> is set.</summary>
    public readonly bool IsAny(ConnectionFlags flags) => (Flags & flags) != 0;

    /// <summary>Sets flags.</summary>
    public void Set(ConnectionFlags flags) => Flags |= flags;

    /// <summary>Clears flags.</summary>
    public void Clear(ConnectionFlags flags) => Flags &= ~flags;

    /// <summary>The connection failed: the reactor is to close it.</summary>
    public void Fail(CloseReason reason)
    {
        Set(ConnectionFlags.Aborting);
        Reason = reason;
    }

    /// <summary>What is wrong with the flags, in the order of the table above <see cref="ConnectionFlags"/>; null: nothing.</summary>
    /// <remarks>Holds of every connection whenever its gate is given back.</remarks>
    public readonly string? FindViolation()
    {
        if (Is(ConnectionFlags.Closed))
        {
            if (Descriptor >= 0) return "closed, with a descriptor";
            return IsAny(ConnectionFlags.OutputQueued | ConnectionFlags.Secured) ? "closed, with memory of its own" : null;
        }

        if (Is(ConnectionFlags.CloseReported)) return "reported as closed, and open";
        if (Descriptor < 0 && !Is(ConnectionFlags.ConnectFailed)) return "open, without a descriptor";
        if (Is(ConnectionFlags.ConnectFailed) && !Is(ConnectionFlags.Connecting)) return "failed to connect, and connected";
        if (Is(ConnectionFlags.Connecting) && IsAny(WantConnected)) return "connecting, and in a state that only a connected one has";
        if (Is(ConnectionFlags.ReadStalled) && !Is(ConnectionFlags.InStalledQueue)) return "stalled, and not in the queue";
        if (Is(ConnectionFlags.ReadEndUnreported) && !Is(ConnectionFlags.ReadEnded)) return "an end to report, without one";
        if (Is(ConnectionFlags.AboveHigh) && !Is(ConnectionFlags.OutputQueued)) return "above the high mark with nothing queued";
        if (Is(ConnectionFlags.WriteEnded) && IsAny(ConnectionFlags.WriteEnding | ConnectionFlags.OutputQueued))
            return "ended, with something to send";
        if (Is(ConnectionFlags.OutputQueued) && !IsAny(ConnectionFlags.HasSent | ConnectionFlags.Secured)) return "something queued that nobody sent";
        if (Is(ConnectionFlags.WatchesInput) && !MayRead) return "watched for input that may not be read";
        if (Is(ConnectionFlags.Unwatched) && IsAny(ConnectionFlags.WatchesInput | ConnectionFlags.WatchesOutput)) return "watched and not watched";
        if (IsAny(WantOpenSsl) && !Is(ConnectionFlags.OpenSslRecords)) return "in a state of OpenSSL's, without OpenSSL";
        if (Is(ConnectionFlags.TlsAwaitsRecord | ConnectionFlags.OpenSslRecords)) return "waiting for a record that OpenSSL reads";
        return IsAny(WantTls) && !Is(ConnectionFlags.Secured) ? "in a state of TLS, without TLS" : null;
    }

    /// <summary>What is wrong with a slot that was handed over; null: nothing.</summary>
    public readonly string? FindDamage()
    {
        if (Gate != 0) return "its gate is held";
        if (Generation == 0) return "it was never used";
        if (!Enum.IsDefined(Reason)) return "it is closed for no reason";
        return Is(ConnectionFlags.OpenSslRecords) ? "its records are OpenSSL's" : FindViolation();
    }

    /// <summary>Costs nothing in a release build; the tests ask <see cref="FindViolation"/> of all slots instead.</summary>
    [Conditional("DEBUG")]
    private readonly void AssertInvariants()
    {
        if (FindViolation() is { } violation) Debug.Fail($"{violation}: {Flags}");
    }
}
