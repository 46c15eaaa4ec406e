using System.Net;
using Megaphone.Handover;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>What of an ECM's state decides whether a configuration fits: the beginning of what it hands over. The rehearsal gets it alone.</summary>
internal sealed record EcmHead
{
    /// <summary>As many as <see cref="EcmClient.Listener"/> can tell.</summary>
    private const int MaxListeners = byte.MaxValue + 1;

    /// <summary>Reactor threads, which are part of clients' ids.</summary>
    public required int Reactors { get; init; }

    /// <summary>The clients that each reactor has places for.</summary>
    public required int Capacity { get; init; }

    /// <summary>The size of a link's ring.</summary>
    public required int RingBytes { get; init; }

    /// <summary>The longest packet that is accepted, which the other ends of links were told.</summary>
    public required int MaxPacketBytes { get; init; }

    /// <summary>The bound of what is kept for one client, which is that of a server's incomplete stanza for a client from the web, too.</summary>
    public required int LimitBytes { get; init; }

    /// <summary>The bound of the memory for incomplete stanzas.</summary>
    public required long IncompleteBytes { get; init; }

    /// <summary>What the packets of the links carry.</summary>
    public required LinkFraming Framing { get; init; }

    /// <summary>The listeners, in the order of <see cref="EcmClient.Listener"/>; those that were closed are the last.</summary>
    public required IReadOnlyList<Listener> Listeners { get; init; }

    /// <summary>Writes it.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="isAlone">Whether the listeners' sockets stay here.</param>
    public void Save(StateWriter writer, bool isAlone = false)
    {
        writer.Write(Reactors);
        writer.Write(Capacity);
        writer.Write(RingBytes);
        writer.Write(MaxPacketBytes);
        writer.Write(LimitBytes);
        writer.Write(IncompleteBytes);
        writer.Write((int)Framing);
        writer.Write(Listeners.Count);
        foreach (Listener listener in Listeners)
        {
            writer.WriteText(listener.Configured.ToString());
            writer.WriteText(listener.Real.ToString());
            writer.Write(listener.MaxStanzaBytes);
            writer.Write(listener.Ping is { } ping ? (int)ping.TotalSeconds : -1);
            writer.WriteDescriptor(isAlone ? -1 : listener.Descriptor);
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static EcmHead Restore(StateReader reader)
    {
        int reactors = reader.ReadNumber(1, ConnectionId.MaxReactors, "the number of reactors");
        int capacity = reader.ReadNumber(1, ConnectionId.MaxSlots, "the number of places for clients");
        int ringBytes = reader.ReadNumber(1, 1 << 30, "the size of a ring");
        int maxPacketBytes = reader.ReadNumber(1, 1 << 30, "the longest packet");
        int limitBytes = reader.ReadNumber(1, int.MaxValue, "the bound of what is kept for a client");
        long incompleteBytes = reader.Read<long>();
        LinkFraming framing = (LinkFraming)reader.ReadNumber((int)LinkFraming.Bytes, (int)LinkFraming.Stanza, "a framing");
        Listener[] listeners = new Listener[reader.ReadNumber(0, MaxListeners, "the number of listeners")];
        for (int i = 0; i < listeners.Length; i++)
        {
            EndPoint configured = reader.ReadListening("a listener's address"), real = reader.ReadListening("a listener's address");
            int maxStanzaBytes = reader.ReadNumber(1, int.MaxValue, "the longest stanza");
            int ping = reader.ReadNumber(-1, int.MaxValue, "the time between two pings");
            int descriptor = reader.Read<int>();
            if (descriptor >= 0) reader.Claim(descriptor, "a listener's descriptor");
            listeners[i] = new Listener(configured, real, maxStanzaBytes, ping < 0 ? null : TimeSpan.FromSeconds(ping), descriptor);
        }

        return new EcmHead
        {
            Reactors = reactors,
            Capacity = capacity,
            RingBytes = ringBytes,
            MaxPacketBytes = maxPacketBytes,
            LimitBytes = limitBytes,
            IncompleteBytes = incompleteBytes,
            Framing = framing,
            Listeners = listeners,
        };
    }

    /// <summary>Why a configuration cannot take the place of the one that runs; null: it can.</summary>
    public string? FindObstacle(EcmOptions options)
    {
        if (options.Link.Framing != Framing) return "Ecm:Clients: the framing of clients who are there cannot change; that needs a restart";
        if (!options.Connect.Control) return "Ecm:Link:Control: without it links cannot be resumed, so only a restart can turn it off";
        if (!options.Connect.Resume) return "Ecm:Link:Resume: without it links cannot be resumed, so only a restart can turn it off";
        if (options.Link.MaxPacketBytes < MaxPacketBytes)
            return $"Ecm:MaxPacketBytes: servers were told that it is {MaxPacketBytes}; less needs a restart";
        if (options.Clients.Count + FindFormer(options).Count > MaxListeners)
            return $"Ecm:Clients: {MaxListeners} listeners at most, those included whose clients are still there; fewer, or a restart";
        int longest = StanzaFraming.LargestFor(options.Link with { RingBytes = RingBytes });
        return Framing == LinkFraming.Stanza && options.Clients.Any(client => client.MaxStanzaBytes > longest)
            ? $"Ecm:Clients: stanzas of more than {longest} bytes need a larger Ecm:Link:RingBytes, which only a restart can change"
            : null;
    }

    /// <summary>The options with which those who are there can be taken over.</summary>
    /// <param name="options">As they are configured.</param>
    /// <param name="notes">Gets a line for each value that stays what it was.</param>
    public EcmOptions Adapt(EcmOptions options, ICollection<string> notes)
    {
        if (options.Reactors != Reactors) notes.Add($"Ecm:Reactors stays {Reactors} until a restart: it is configured as {options.Reactors}");
        if (options.Link.RingBytes != RingBytes)
            notes.Add($"Ecm:Link:RingBytes stays {RingBytes} until a restart: it is configured as {options.Link.RingBytes}");
        bool limitStays = options.Buffers.LimitBytes < LimitBytes && Listeners.Any(listener => listener.Ping is not null);
        if (limitStays)
            notes.Add($"Ecm:Buffers:LimitBytes stays {LimitBytes} until a restart: with listeners for the web it cannot become less");
        if (options.IncompleteBytes < IncompleteBytes)
            notes.Add($"Ecm:IncompleteBytes stays {IncompleteBytes} until a restart: it cannot become less");
        return options with
        {
            Reactors = Reactors,
            Link = options.Link with { RingBytes = RingBytes },
            Buffers = limitStays ? WithLimit(options.Buffers) : options.Buffers,
            IncompleteBytes = Math.Max(options.IncompleteBytes, IncompleteBytes),
            FormerListeners = FindFormer(options),
        };
    }

    /// <summary>For each <see cref="EcmClient.Listener"/> the one that it has with options that were adapted.</summary>
    public byte[] MapListeners(EcmOptions adapted)
    {
        List<FormerListener> former = [.. adapted.FormerListeners];
        return [.. Listeners.Select((listener, number) => (byte)(IndexIn(adapted.Clients, listener, number) is >= 0 and int index
            ? index
            : adapted.Clients.Count + former.IndexOf(listener.WhenClosed)))];
    }

    /// <summary>The listeners' sockets.</summary>
    public IReadOnlyCollection<int> Descriptors => [.. Listeners.Select(listener => listener.Descriptor).Where(descriptor => descriptor >= 0)];

    /// <summary>Finds a socket that listens on an address. There may be several where that is any port.</summary>
    /// <param name="address">The address.</param>
    /// <param name="taken">Those that have been found for other listeners; gets this one.</param>
    /// <returns>Below 0: there is none.</returns>
    public int TakeDescriptor(EndPoint address, HashSet<int> taken) =>
        Find(address).Select(listener => listener.Descriptor).FirstOrDefault(taken.Add, -1);

    /// <summary>Whether there is a listener on an address.</summary>
    public bool HasListener(EndPoint address) => Find(address).Any();

    private IEnumerable<Listener> Find(EndPoint address) =>
        Listeners.Where(listener => listener.IsOpen && (listener.Configured.Equals(address) || listener.Real.Equals(address)));

    /// <summary>What is needed for the clients whose listeners are not in the configuration, or are others there.</summary>
    private IReadOnlyList<FormerListener> FindFormer(EcmOptions options) =>
        [.. Listeners.Where(listener => IndexIn(options.Clients, listener) < 0).Select(listener => listener.WhenClosed).Distinct()];

    /// <summary>Buffers with the limit that there was, and no bound below it.</summary>
    private BufferOptions WithLimit(BufferOptions buffers) =>
        buffers with { LimitBytes = LimitBytes, TotalBytes = Math.Max(buffers.TotalBytes, LimitBytes) };

    /// <summary>The listener's index in a configuration; below 0: it is not there. Of several that are the same, as those on any port may be, the
    /// first from a number on.</summary>
    private static int IndexIn(IReadOnlyList<ClientListenerOptions> clients, Listener listener, int from = 0)
    {
        for (int looked = 0; looked < clients.Count; looked++)
        {
            int i = (from + looked) % clients.Count;
            ClientListenerOptions client = clients[i];
            bool isSame = client.Listen.Equals(listener.Configured) && client.MaxStanzaBytes == listener.MaxStanzaBytes;
            if (isSame && client.Web is null == listener.Ping is null) return i;
        }

        return -1;
    }

    /// <summary>A listener, or one that has been closed, whose clients are there.</summary>
    /// <param name="Configured">The address as it was configured.</param>
    /// <param name="Real">The address with the real port.</param>
    /// <param name="MaxStanzaBytes">See <see cref="ClientListenerOptions"/>.</param>
    /// <param name="Ping">See <see cref="WebOptions"/>; null: it is not for the web.</param>
    /// <param name="Descriptor">Its socket; below 0: none, or not told.</param>
    internal sealed record Listener(EndPoint Configured, EndPoint Real, int MaxStanzaBytes, TimeSpan? Ping, int Descriptor)
    {
        /// <summary>Whether it is open: one that was closed has no port.</summary>
        public bool IsOpen => Real is not IPEndPoint { Port: 0 };

        /// <summary>What is needed of it when it is closed.</summary>
        public FormerListener WhenClosed => new(MaxStanzaBytes, Ping);

        /// <summary>One that is not open.</summary>
        public static Listener Closed(EndPoint configured, FormerListener former) =>
            new(configured, new IPEndPoint(IPAddress.None, 0), former.MaxStanzaBytes, former.Ping, Descriptor: -1);
    }
}
