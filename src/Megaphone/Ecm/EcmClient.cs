namespace Megaphone.Ecm;

/// <summary>What the ECM keeps for each client, beside what its reactor keeps: four bytes.</summary>
internal struct EcmClient
{
    /// <summary>The link that carries it, by its place among the links; the owner number says which instance of it.</summary>
    public ushort LinkIndex;

    /// <summary>A packet has been sent for it: the other end of the link knows the session.</summary>
    public bool Opened;

    /// <summary>The other end has been told that the client ended its direction.</summary>
    public bool EndTold;
}
