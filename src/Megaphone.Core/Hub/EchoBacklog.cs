namespace Megaphone.Hub;

/// <summary>What waits in a paused echo session, or behind what waits.</summary>
internal sealed class EchoBacklog
{
    /// <summary>The packets' contents in order; an empty one is the end.</summary>
    public Queue<byte[]> Contents { get; } = new();

    /// <summary>Bytes of content in all.</summary>
    public int Bytes { get; set; }

    /// <summary>Whether the last of them is the end: further packets are dropped.</summary>
    public bool HasEnded { get; set; }

    /// <summary>Whether the ECM has paused the session.</summary>
    public bool Paused { get; set; }

    /// <summary>Whether we have paused the ECM in turn.</summary>
    public bool PausedEcm { get; set; }
}
