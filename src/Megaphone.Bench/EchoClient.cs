namespace Megaphone.Bench;

/// <summary>
/// One connection to an echo. Used by its reactor's thread, but for <see cref="SentAt"/> of the first message.
/// </summary>
internal struct EchoClient
{
    /// <summary>When its message was sent, in a closed loop, where only one is under way.</summary>
    public long SentAt;

    /// <summary>Messages that have come back.</summary>
    public long Answers;

    /// <summary>Bytes of the next one that have come back.</summary>
    public int Bytes;
}
