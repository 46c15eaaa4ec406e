using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>A <see cref="WebSlot"/> for each connection that there may be, in memory that is there only where it has been used.</summary>
/// <remarks>Its address space is there for as long as the process runs, as any thread may look at it.</remarks>
internal sealed class WebSlots
{
    private readonly SlotMemory<WebSlot>[] _reactors;
    private readonly int[] _used;
    private readonly int _capacity;

    /// <param name="reactors">Reactors of the group.</param>
    /// <param name="capacity">Connections of each.</param>
    /// <exception cref="IOException">There is no address space for them.</exception>
    public WebSlots(int reactors, int capacity)
    {
        _capacity = Math.Min(capacity, ConnectionId.MaxSlots);
        _reactors = [.. Enumerable.Range(0, reactors).Select(_ => new SlotMemory<WebSlot>(_capacity))];
        _used = new int[reactors];
    }

    /// <summary>Reactors.</summary>
    public int Reactors => _reactors.Length;

    /// <summary>The slot of a connection of this process.</summary>
    public ref WebSlot this[ConnectionId id] => ref _reactors[id.Reactor][id.Slot];

    /// <summary>Whether an id, whoever has sent it, is that of a connection for the web that is open.</summary>
    public bool Has(ConnectionId id) =>
        id.Generation != 0 && id.Reactor < _reactors.Length && id.Slot < _capacity && id.Slot < Used(id.Reactor)
        && Volatile.Read(ref this[id].Generation) == id.Generation;

    /// <summary>The slots of a reactor below which all are that have been used.</summary>
    public int Used(int reactor) => Volatile.Read(ref _used[reactor]);

    /// <summary>A slot of a reactor, below <see cref="Used"/>.</summary>
    public ref WebSlot At(int reactor, int index) => ref _reactors[reactor][index];

    /// <summary>How many connections are that far now. Looks at every slot; any thread.</summary>
    public long Count(WebPhase phase)
    {
        long count = 0;
        for (int reactor = 0; reactor < Reactors; reactor++)
        {
            for (int index = 0; index < Used(reactor); index++)
            {
                ref WebSlot slot = ref At(reactor, index);
                if (Volatile.Read(ref slot.Generation) != 0 && slot.Phase == phase) count++;
            }
        }

        return count;
    }

    /// <summary>Begins with a connection.</summary>
    public void Begin(ConnectionId id, int owner, byte listener, WebPhase phase)
    {
        ref WebSlot slot = ref this[id];
        slot.Enter();

        // Before this is called for the server's end of a relay, that may be closed, and its slot another connection's.
        if (slot.Generation == 0 || (int)(id.Generation - slot.Generation) > 0)
        {
            (slot.Owner, slot.Listener, slot.Phase, slot.Server) = (owner, listener, phase, default);
            (slot.HasOpened, slot.SilentLooks, slot.IsSlow, slot.IsStale) = (false, 0, false, false);
            Volatile.Write(ref slot.Generation, id.Generation);
        }

        slot.Exit();
        int used;
        while ((used = Used(id.Reactor)) <= id.Slot) Interlocked.CompareExchange(ref _used[id.Reactor], id.Slot + 1, used);
    }

    /// <summary>Gives back the memory of slots that are nobody's.</summary>
    public void GiveBack(int reactor, int first, int count)
    {
        // A thread that is finding out that a connection is closed holds its lock: it goes first. What zeroes the locks opens them.
        for (int index = first; index < Math.Min(first + count, Used(reactor)); index++) At(reactor, index).Enter();
        _reactors[reactor].GiveBack(first, Math.Min(count, _capacity - first));
    }
}
