using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>Makes epoll report of each connection what it can use. Everything here is called with the slot's gate held.</summary>
/// <remarks>
/// <para>Of a connection that only waits for input each arrival is reported once (edge-triggered), and with it whatever keeps one
/// receive from taking all there is. Otherwise epoll would look at each connection again behind the batch, to find that nothing is
/// left.</para>
/// <para>Everything else is level-triggered: connections with output waiting, and those whose TLS is OpenSSL's, which does not say whether it
/// has left something to the kernel.</para>
/// </remarks>
internal sealed class EpollInterest(Epoll epoll)
{
    /// <summary>Where a receive stops, though there is something behind it: at an end, and at data that the peer calls urgent.</summary>
    public const uint StopsReceive = Libc.EpollReadHangUp | Libc.EpollPriority;

    private const ConnectionFlags Watches = ConnectionFlags.WatchesInput | ConnectionFlags.WatchesOutput;

    /// <summary>Begins to watch a connected descriptor for input.</summary>
    public bool TryWatchInput(ConnectionId id, ref ConnectionSlot slot)
    {
        slot.Set(ConnectionFlags.WatchesInput);
        return epoll.Add(slot.Descriptor, InputEvents(slot), id.Value) == 0;
    }

    /// <summary>Begins to watch a descriptor that is being connected: it has room for output when it is established, or failed.</summary>
    public bool TryWatchConnect(ConnectionId id, ref ConnectionSlot slot)
    {
        slot.Set(ConnectionFlags.WatchesOutput);
        return epoll.Add(slot.Descriptor, Libc.EpollOut, id.Value) == 0;
    }

    /// <summary>Has epoll watch for exactly what the connection can use now.</summary>
    public void Update(ConnectionId id, ref ConnectionSlot slot)
    {
        if (slot.Descriptor < 0 || slot.Is(ConnectionFlags.Connecting)) return;
        bool input = slot.MayRead;
        bool output = slot.Is(ConnectionFlags.TlsWantsWrite)
            || (slot.Is(ConnectionFlags.OutputQueued) && !slot.Is(ConnectionFlags.TlsWantsRead));
        ConnectionFlags wanted = (input ? ConnectionFlags.WatchesInput : 0) | (output ? ConnectionFlags.WatchesOutput : 0);
        if (wanted == (slot.Flags & Watches)) return;

        uint events = output ? Libc.EpollOut | (input ? Libc.EpollIn : 0)
            : input ? InputEvents(slot)
            : slot.Is(ConnectionFlags.Held) ? Libc.EpollReadHangUp | Libc.EpollEdge : 0;
        if (slot.Is(ConnectionFlags.Unwatched)) _ = epoll.Add(slot.Descriptor, events, id.Value);
        else epoll.Change(slot.Descriptor, events, id.Value);
        slot.Clear(Watches | ConnectionFlags.Unwatched);
        slot.Set(wanted);
    }

    /// <summary>Has epoll report once more what it has reported already and what has not been read.</summary>
    public void RearmRead(ConnectionId id, ref ConnectionSlot slot)
    {
        // In any other state it reports, or will be asked to report, what there is and not what is new.
        if ((slot.Flags & Watches) == ConnectionFlags.WatchesInput) epoll.Change(slot.Descriptor, InputEvents(slot), id.Value);
    }

    /// <summary>Takes the descriptor out of epoll until <see cref="Update"/> finds something to watch for.</summary>
    public void Unwatch(ref ConnectionSlot slot)
    {
        epoll.Remove(slot.Descriptor);
        slot.Clear(Watches);
        slot.Set(ConnectionFlags.Unwatched);
    }

    private static uint InputEvents(in ConnectionSlot slot) =>
        slot.Is(ConnectionFlags.OpenSslRecords) ? Libc.EpollIn : Libc.EpollIn | StopsReceive | Libc.EpollEdge;
}
