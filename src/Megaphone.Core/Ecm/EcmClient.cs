using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What the ECM keeps for each client, beside what its reactor keeps: 28 bytes.</summary>
internal struct EcmClient
{
    /// <summary>The index of the link that carries it; the owner number tells which connection of it.</summary>
    public ushort LinkIndex;

    /// <summary>The index in the configuration of the listener that accepted it; behind those, one that a reload has closed.</summary>
    public byte Listener;

    /// <summary>The state of its session. Reactor only.</summary>
    public SessionLife Life;

    /// <summary>With stanza framing, the state of its stream. It owns memory, which is freed when the client is closed.</summary>
    public StreamState Stream;

    /// <summary>Records that a packet is sent for it: the first one opens and counts the session.</summary>
    public void Open(RoleMetrics metrics)
    {
        if (Life.Open()) metrics.AddSessionOpened();
    }
}
