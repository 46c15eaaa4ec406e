namespace Megaphone.Bench;

/// <summary>
/// One connection's side of its conversation with an echo. Its reactor's thread uses it, but for the time in a closed loop.
/// </summary>
internal struct EchoClient
{
    /// <summary>When its message was sent, in a closed loop, where only one is under way.</summary>
    public long SentAt;

    /// <summary>Messages that have come back.</summary>
    public long Answers;

    /// <summary>Bytes of the next one that have.</summary>
    public int Bytes;
}
