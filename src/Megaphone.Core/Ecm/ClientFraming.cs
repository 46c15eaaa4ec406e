namespace Megaphone.Ecm;

/// <summary>What the clients of a listener speak, as far as the ECM needs to know.</summary>
internal enum ClientFraming
{
    /// <summary>Anything: it is passed on as it comes.</summary>
    Bytes,

    /// <summary>XMPP over TCP: a packet is a piece of a stream.</summary>
    Stanza,

    /// <summary>XMPP over WebSocket, and HTTP for a server behind the ECM. Packets are pieces, too.</summary>
    Web,
}
