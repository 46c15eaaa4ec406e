namespace Megaphone.Links;

/// <summary>Where a receiver hands its packets. Called by one thread at a time; must not block.</summary>
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
}
