namespace Megaphone.Bench;

/// <summary>What the reactor keeps for each connection of a run, beside its own 24 bytes: four.</summary>
internal struct TcpClient
{
    /// <summary>The connection's index.</summary>
    public int Index;
}
