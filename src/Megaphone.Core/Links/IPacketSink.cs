namespace Megaphone.Links;

/// <summary>Where a receiver hands its packets. Called by one thread at a time; must not block.</summary>
/// <remarks>
/// While packets are kept, <see cref="Heed"/>, <see cref="OnKept"/> and <see cref="StopWaiting"/> are called by the receiver, and everything
/// else by whoever hands over what is kept.
/// </remarks>
internal interface IPacketSink
{
    /// <summary>Accepts one packet.</summary>
    /// <param name="id">The connection id.</param>
    /// <param name="content">Belongs to the receiver and is valid during the call only.</param>
    /// <returns><see cref="Outcome.WouldBlock"/>: hand it over again after <see cref="WaitForRoomAsync"/>, and read nothing until then.
    /// <see cref="Outcome.Closed"/>: close the connection; the sink knows why.</returns>
    Outcome Accept(ulong id, ReadOnlySpan<byte> content);

    /// <summary>Everything that arrived together has been handed over.</summary>
    /// <param name="packets">How many packets were accepted.</param>
    /// <param name="bytes">How many bytes arrived.</param>
    void OnBatchEnd(int packets, int bytes);

    /// <summary>Completes when a packet that was answered with <see cref="Outcome.WouldBlock"/> should be tried again.</summary>
    Task WaitForRoomAsync();

    /// <summary>How many bytes are to be read and kept while a packet waits for room (section 7 of the link protocol); 0: nothing is read.</summary>
    int Window => 0;

    /// <summary>Accepts one packet that was kept behind another; see <see cref="Accept"/>.</summary>
    Outcome AcceptKept(ulong id, ReadOnlySpan<byte> content) => Accept(id, content);

    /// <summary>A control packet has arrived behind a packet that waits for room. What keeps the link itself going is heeded now.</summary>
    /// <returns><see cref="Outcome.Closed"/>: close the connection; the sink knows why.</returns>
    Outcome Heed(ReadOnlySpan<byte> content) => Outcome.Done;

    /// <summary>What arrived together is kept, and not handed over yet.</summary>
    /// <param name="bytes">How many bytes arrived.</param>
    void OnKept(int bytes)
    {
    }

    /// <summary>More is kept than the window allows, which the other end was told to respect: the connection is closed.</summary>
    void OnWindowExceeded()
    {
    }

    /// <summary>Nothing more will be received: whoever waits for room is to give up.</summary>
    void StopWaiting()
    {
    }
}
