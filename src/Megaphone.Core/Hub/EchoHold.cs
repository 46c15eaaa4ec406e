namespace Megaphone.Hub;

/// <summary>What an echo session may not send now: its ECM has paused it, or its turn has not come.</summary>
internal sealed class EchoHold
{
    /// <summary>Whole contents in order; an empty one is the end.</summary>
    public Queue<byte[]> Contents { get; } = new();

    /// <summary>The bytes of them.</summary>
    public int Bytes { get; set; }

    /// <summary>The last of them is the end: what comes behind it means nothing.</summary>
    public bool HasEnded { get; set; }

    /// <summary>The ECM has paused the session.</summary>
    public bool Paused { get; set; }

    /// <summary>We have paused the ECM in turn.</summary>
    public bool PausedEcm { get; set; }
}
