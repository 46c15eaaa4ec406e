namespace Megaphone.Bench;

/// <summary>Sends a client's answers while something that it has received is handled.</summary>
internal interface IReplySender
{
    /// <summary>Sends a part of the client's stream, or the end of it.</summary>
    /// <param name="index">The session's index.</param>
    /// <param name="piece">Copied; empty: the end of the stream.</param>
    /// <returns>False when the answers to one packet would need more room than was set aside.</returns>
    bool TryReply(int index, ReadOnlySpan<byte> piece);
}
