namespace Megaphone.Links;

/// <summary>Room in a link's own ring for what its received packets cause: acquired for many at a time, and waited for.</summary>
/// <remarks>
/// For the link's receiver, all but <see cref="Signal"/>, <see cref="Close"/> and <see cref="IsAwaited"/>, which are thread-safe.
/// </remarks>
/// <param name="mostAtATime">Bytes that are acquired ahead at most.</param>
internal sealed class ReplyRoom(int mostAtATime)
{
    private const int UsualAtATime = 64 << 10;

    private TaskCompletionSource? _waiting;
    private int _held;
    private int _signals;
    private int _signalsRemembered;
    private volatile bool _closed;

    /// <summary>Whether the receiver waits for room.</summary>
    public bool IsAwaited => Volatile.Read(ref _waiting) is not null;

    /// <summary>Takes note of the room there is, before it is tried whether it is enough.</summary>
    public void Remember() => _signalsRemembered = Volatile.Read(ref _signals);

    /// <summary>Acquires room for one packet, and for more of them if there is.</summary>
    /// <param name="sender">Whose ring it is.</param>
    /// <param name="bytes">The packet's, header included.</param>
    public bool TryAcquire(LinkSender sender, int bytes)
    {
        if (_held < bytes)
        {
            int more = Math.Max(bytes, Math.Min(UsualAtATime, mostAtATime)) - _held;
            if (!sender.TryAcquireBytes(more) && !sender.TryAcquireBytes(more = bytes - _held)) return false;
            _held += more;
        }

        _held -= bytes;
        return true;
    }

    /// <summary>Gives back what was acquired and not used.</summary>
    public void Return(LinkSender sender)
    {
        if (_held == 0) return;
        sender.ReturnBytes(_held);
        _held = 0;
    }

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
