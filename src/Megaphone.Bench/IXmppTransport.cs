namespace Megaphone.Bench;

/// <summary>Carries XMPP clients to a server. Used by the thread that drives the run.</summary>
internal interface IXmppTransport : IDisposable
{
    /// <summary>Prepares for sessions.</summary>
    /// <exception cref="IOException">The server cannot be reached, or this machine does not allow as much.</exception>
    void Connect();

    /// <summary>Opens a session, or counts the problem that prevents it.</summary>
    /// <param name="index">Its index.</param>
    /// <param name="scheduled">When that was to happen, in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</param>
    /// <returns>False when there is no room for it now.</returns>
    bool TryOpen(int index, long scheduled);

    /// <summary>Sends a part of a client's stream; it is dropped when the session has ended.</summary>
    /// <param name="index">The session's index.</param>
    /// <param name="piece">Empty: the end of the stream.</param>
    /// <returns>False when there is no room for it now.</returns>
    bool TrySend(int index, ReadOnlySpan<byte> piece);

    /// <summary>Waits until there may be room for a session again, for a millisecond at most.</summary>
    void WaitForRoom(int index);

    /// <summary>Sends what is queued, and does whatever else is due.</summary>
    void Flush();

    /// <summary>Closes links or connections. Sessions that are still open are lost.</summary>
    /// <param name="cut">Without ending anything in order.</param>
    void Disconnect(bool cut);

    /// <summary>Adds its own figures to the report.</summary>
    void AddTo(BenchReport report);
}
