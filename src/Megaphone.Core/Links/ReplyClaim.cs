namespace Megaphone.Links;

/// <summary>A claim of room in a link's own ring for the replies to its packets: made for many at a time, awaited when the ring is full.</summary>
/// <remarks>
/// For the receiver only, except for <see cref="Signal"/>, <see cref="Close"/> and <see cref="IsAwaited"/>, which are thread-safe.
/// </remarks>
/// <param name="maxBytes">The most bytes of content that are claimed ahead.</param>
internal sealed class ReplyClaim(int maxBytes)
{
    private const int PreferredBytes = 64 << 10;

    private RingClaim _claim;
    private TaskCompletionSource? _waiting;
    private int _signals;
    private int _signalsSeen;
    private volatile bool _closed;

    /// <summary>Whether the receiver waits for room.</summary>
    public bool IsAwaited => Volatile.Read(ref _waiting) is not null;

    /// <summary>Whether nothing is waited for any more.</summary>
    public bool IsClosed => _closed;

    /// <summary>Notes the signals so far, before a reply is tried, so that <see cref="WaitAsync"/> misses none.</summary>
    public void ObserveSignals() => _signalsSeen = Volatile.Read(ref _signals);

    /// <summary>Commits one packet, and claims room for more if there is any.</summary>
    /// <returns>False when there is no room for it.</returns>
    public bool TryCommit(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        if (!_claim.Fits(content.Length))
        {
            _claim.Release();
            int preferred = Math.Max(content.Length, Math.Min(PreferredBytes, maxBytes));
            if (!link.TryClaim(preferred, out _claim) && !link.TryClaim(content.Length, out _claim)) return false;
        }

        _claim.Commit(id, content);
        return true;
    }

    /// <summary>Releases the room that was claimed and not used.</summary>
    public void Release() => _claim.Release();

    /// <summary>Waits until there has been room again since <see cref="ObserveSignals"/>, or until <see cref="Close"/>.</summary>
    public async Task WaitAsync()
    {
        TaskCompletionSource waiting = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _waiting, waiting);

        // Room may have become free between the refused claim and the line above.
        if (_closed || Volatile.Read(ref _signals) != _signalsSeen) EndWait();
        await waiting.Task.ConfigureAwait(false);
    }

    /// <summary>There is room again.</summary>
    public void Signal()
    {
        Interlocked.Increment(ref _signals);
        EndWait();
    }

    /// <summary>Ends the wait for good.</summary>
    public void Close()
    {
        _closed = true;
        EndWait();
    }

    private void EndWait() => Interlocked.Exchange(ref _waiting, null)?.TrySetResult();
}
