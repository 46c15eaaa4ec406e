using System.Net;
using Megaphone.Handover;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>What of a hub's state decides whether a configuration fits: the beginning of what it hands over. The rehearsal gets it alone.</summary>
/// <param name="Reactors">Reactor threads, which are part of the ids of connections.</param>
/// <param name="Capacity">The sessions that each reactor has places for.</param>
/// <param name="RingBytes">The size of a link's ring.</param>
/// <param name="MaxPacketBytes">The longest packet that is accepted, which the other ends of links were told.</param>
/// <param name="IsEcho">Whether the backend is <c>echo:</c>.</param>
/// <param name="Configured">The address on which links are accepted, as it was configured.</param>
/// <param name="Real">The same with the real port.</param>
/// <param name="Descriptor">The socket that listens there; below 0: not told.</param>
internal sealed record HubHead(
    int Reactors, int Capacity, int RingBytes, int MaxPacketBytes, bool IsEcho, EndPoint Configured, EndPoint Real, int Descriptor)
{
    /// <summary>Writes it.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="isAlone">Whether the listener's socket stays here.</param>
    public void Save(StateWriter writer, bool isAlone = false)
    {
        writer.Write(Reactors);
        writer.Write(Capacity);
        writer.Write(RingBytes);
        writer.Write(MaxPacketBytes);
        writer.Write(IsEcho);
        writer.WriteText(Configured.ToString());
        writer.WriteText(Real.ToString());
        writer.WriteDescriptor(isAlone ? -1 : Descriptor);
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static HubHead Restore(StateReader reader)
    {
        HubHead head = new(
            reader.ReadNumber(1, ConnectionId.MaxReactors, "the number of reactors"),
            reader.ReadNumber(1, ConnectionId.MaxSlots, "the number of places for sessions"),
            reader.ReadNumber(1, 1 << 30, "the size of a ring"),
            reader.ReadNumber(1, 1 << 30, "the longest packet"),
            reader.ReadFlag(),
            reader.ReadListening("a listener's address"),
            reader.ReadListening("a listener's address"),
            reader.Read<int>());
        if (head.Descriptor >= 0) reader.Claim(head.Descriptor, "a listener's descriptor");
        return head;
    }

    /// <summary>Whether links are accepted on an address.</summary>
    public bool HasListener(EndPoint address) => address.Equals(Configured) || address.Equals(Real);

    /// <summary>Why a configuration cannot take the place of the one that runs; null: it can.</summary>
    public string? FindObstacle(HubOptions options)
    {
        if (!HasListener(options.Listen)) return $"Hub:Listen: ECMs come back to {Real}; another address needs a restart";
        if (options.Backends.Count == 0 != IsEcho) return "Hub:Backend: from or to echo: needs a restart, since no session can change so";
        if (options.Link.MaxPacketBytes < MaxPacketBytes)
            return $"Hub:MaxPacketBytes: ECMs were told that it is {MaxPacketBytes}; less needs a restart";
        return options.Link.MaxPacketBytes > RingBytes / 2
            ? $"Hub:MaxPacketBytes: more than {RingBytes / 2} needs a larger Hub:RingBytes, which only a restart can change"
            : null;
    }

    /// <summary>The options with which the sessions that are there can be taken over.</summary>
    /// <param name="options">As they are configured.</param>
    /// <param name="notes">Gets a line for each value that stays what it was.</param>
    public HubOptions Adapt(HubOptions options, ICollection<string> notes)
    {
        if (options.Reactors != Reactors) notes.Add($"Hub:Reactors stays {Reactors} until a restart: it is configured as {options.Reactors}");
        if (options.Link.RingBytes != RingBytes)
            notes.Add($"Hub:RingBytes stays {RingBytes} until a restart: it is configured as {options.Link.RingBytes}");
        return options with { Reactors = Reactors, Link = options.Link with { RingBytes = RingBytes } };
    }
}
