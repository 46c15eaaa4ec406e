using Megaphone.Metrics;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What the ECM keeps for each client, beside what its reactor keeps: 28 bytes.</summary>
internal struct EcmClient
{
    /// <summary>The link that carries it, by its place among the links; the owner number says which instance of it.</summary>
    public byte LinkIndex;

    /// <summary>The listener that took it, by its place in the configuration.</summary>
    public byte Listener;

    /// <summary>A packet has been sent for it: the other end of the link knows the session.</summary>
    public bool Opened;

    /// <summary>The other end has been told that the client ended its direction, or that the session is over.</summary>
    public bool EndTold;

    /// <summary>With stanza framing, where its stream stands. It owns memory, which is freed when the client is closed.</summary>
    public StreamState Stream;

    /// <summary>A packet is sent for it: if it is the first, there is a session from now on.</summary>
    public void Open(RoleMetrics metrics)
    {
        if (Opened) return;
        Opened = true;
        metrics.AddSessionOpened();
    }
}
