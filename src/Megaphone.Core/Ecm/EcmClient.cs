using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What the ECM keeps for each client, beside what its reactor keeps: 28 bytes.</summary>
internal struct EcmClient
{
    /// <summary>The link that carries it, by its place among the links; the owner number says which instance of it.</summary>
    public byte LinkIndex;

    /// <summary>The listener that accepted it, by its place in the configuration.</summary>
    public byte Listener;

    /// <summary>How far its session has come. Reactor only.</summary>
    public SessionLife Life;

    /// <summary>With stanza framing, where its stream stands. It owns memory, which is freed when the client is closed.</summary>
    public StreamState Stream;

    /// <summary>A packet is sent for it: if it is the first, there is a session from now on.</summary>
    public void Open(RoleMetrics metrics)
    {
        if (Life.Open()) metrics.AddSessionOpened();
    }
}
