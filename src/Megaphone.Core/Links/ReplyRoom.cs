namespace Megaphone.Links;

/// <summary>Room in a link's own ring for what its received packets cause: claimed for many at a time, and waited for.</summary>
/// <remarks>
/// For the receiver, all but <see cref="Signal"/>, <see cref="Close"/> and <see cref="IsAwaited"/>, which are thread-safe.
/// </remarks>
/// <param name="most">Bytes of content that are claimed ahead at most.</param>
internal sealed class ReplyRoom(int most)
{
    private const int Usual = 64 << 10;

    private RingClaim _claim;
    private TaskCompletionSource? _waiting;
    private int _signals;
    private int _signalsRemembered;
    private volatile bool _closed;

    /// <summary>Whether the receiver waits for room.</summary>
    public bool IsAwaited => Volatile.Read(ref _waiting) is not null;

    /// <summary>Takes note of the room there is, before it is tried whether it is enough.</summary>
    public void Remember() => _signalsRemembered = Volatile.Read(ref _signals);

    /// <summary>Commits one packet, and claims room for more of them if there is.</summary>
    /// <returns>False when there is no room for it.</returns>
    public bool TryCommit(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        if (!_claim.Fits(content.Length))
        {
            _claim.Release();
            if (!link.TryClaim(Math.Max(content.Length, Math.Min(Usual, most)), out _claim) && !link.TryClaim(content.Length, out _claim)) return false;
        }

        _claim.Commit(id, content);
        return true;
    }

    /// <summary>Releases what was claimed and not used.</summary>
    public void Release() => _claim.Release();

    /// <summary>Waits until there has been room again since <see cref="Remember"/>, or <see cref="Close"/>.</summary>
    public async Task WaitAsync()
    {
        TaskCompletionSource waiting = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _waiting, waiting);

        // Room may have come between the refusal and the line above.
        if (_closed || Volatile.Read(ref _signals) != _signalsRemembered) EndWait();
        await waiting.Task.ConfigureAwait(false);
    }

    /// <summary>There is room again.</summary>
    public void Signal()
    {
        Interlocked.Increment(ref _signals);
        EndWait();
    }

    /// <summary>Nobody is to wait any more.</summary>
    public void Close()
    {
        _closed = true;
        EndWait();
    }

    private void EndWait() => Interlocked.Exchange(ref _waiting, null)?.TrySetResult();
}
