namespace Megaphone.Bench;

/// <summary>What carries played XMPP clients to a server. For the pacer alone.</summary>
internal interface IXmppWire : IDisposable
{
    /// <summary>Gets ready for sessions.</summary>
    /// <exception cref="IOException">The server cannot be reached, or this machine does not allow as much.</exception>
    void Connect();

    /// <summary>Opens a session, or counts why it cannot be opened.</summary>
    /// <param name="index">Its place.</param>
    /// <param name="scheduled">When that was to happen, in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</param>
    /// <returns>False when there is no room for it now.</returns>
    bool TryOpen(int index, long scheduled);

    /// <summary>Sends what a client says; what has no way any more is dropped.</summary>
    /// <param name="index">The session's place.</param>
    /// <param name="piece">Empty: it says nothing more.</param>
    /// <returns>False when there is no room for it now.</returns>
    bool TrySend(int index, ReadOnlySpan<byte> piece);

    /// <summary>Waits until there may be room again for a session, for a millisecond at most.</summary>
    void WaitForRoom(int index);

    /// <summary>Sends what was queued, and does whatever else must not wait.</summary>
    void Flush();

    /// <summary>Ends. Sessions that are still open are lost.</summary>
    /// <param name="cut">At once, and on purpose.</param>
    void Disconnect(bool cut);

    /// <summary>Adds what it has counted.</summary>
    void Tell(BenchReport report);
}
