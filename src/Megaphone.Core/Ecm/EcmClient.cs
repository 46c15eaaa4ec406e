using System.Runtime.InteropServices;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What the ECM keeps for each client, beside what its reactor keeps: 32 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32, Pack = 4)]
internal struct EcmClient
{
    /// <summary>In place of a link's index: it is the client's end of an <see cref="HttpRelay"/>.</summary>
    public const ushort RelayedClient = ushort.MaxValue;

    /// <summary>In place of a link's index: it is no client, but the other end of an <see cref="HttpRelay"/>.</summary>
    public const ushort RelayedServer = ushort.MaxValue - 1;

    private const int HintBits = 8;
    private const uint HintMask = byte.MaxValue;

    /// <summary>Milliseconds.</summary>
    private const long AgeStep = 2000;

    /// <summary>The index of the link that carries it; the owner number tells which connection of it.</summary>
    [FieldOffset(0)]
    public ushort LinkIndex;

    /// <summary>The index in the configuration of the listener that accepted it; behind those, one that a reload has closed.</summary>
    [FieldOffset(2)]
    public byte Listener;

    /// <summary>The state of its session. Reactor only.</summary>
    [FieldOffset(3)]
    public SessionLife Life;

    /// <summary>With stanza framing, the state of its stream. It owns memory, which is freed when the client is closed.</summary>
    [FieldOffset(4)]
    public StreamState Stream;

    /// <summary>In its place, where the listener is for the web: the state of its input. It owns memory in the same way.</summary>
    [FieldOffset(4)]
    public WebState Web;

    /// <summary>In its place, when the connection is relayed: the other end.</summary>
    [FieldOffset(4)]
    public ConnectionId Partner;

    /// <summary>24 bits of when it connected, in steps, and 8 of where from.</summary>
    [FieldOffset(28)]
    private uint _arrival;

    /// <summary>Whether it is an end of an <see cref="HttpRelay"/>.</summary>
    public readonly bool IsRelayed => LinkIndex >= RelayedServer;

    /// <summary>The <see cref="ClientAddress.Hint"/> of its address: most who are not in a network can be told by it.</summary>
    public readonly byte AddressHint => (byte)_arrival;

    /// <summary>How long it has been there: two seconds more or less, and whoever stays for a year begins anew.</summary>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    public readonly TimeSpan AgeAt(long now) => TimeSpan.FromMilliseconds((unchecked(ArrivalAt(now) - (_arrival & ~HintMask)) >> HintBits) * AgeStep);

    /// <summary>Records when it has connected, and from where.</summary>
    /// <param name="address">From where.</param>
    /// <param name="now">When, as <see cref="Environment.TickCount64"/> tells it.</param>
    public void Arrive(ClientAddress address, long now) => _arrival = ArrivalAt(now) | address.Hint;

    /// <summary>Records that a packet is sent for it: the first one opens and counts the session.</summary>
    public void Open(RoleMetrics metrics)
    {
        if (Life.Open()) metrics.AddSessionOpened();
    }

    private static uint ArrivalAt(long now) => unchecked((uint)(now / AgeStep) << HintBits);
}
