namespace Megaphone.Bench;

/// <summary>Carries what a played client says, while something that the server said to it is handled.</summary>
internal interface ISessionCarrier
{
    /// <summary>Sends one piece of the client's stream, or the end of it.</summary>
    /// <param name="index">The session's place.</param>
    /// <param name="piece">Copied; empty: the client says nothing more.</param>
    /// <returns>False when the client would have said more in answer to one packet than there can be room for.</returns>
    bool TryReply(int index, ReadOnlySpan<byte> piece);
}
