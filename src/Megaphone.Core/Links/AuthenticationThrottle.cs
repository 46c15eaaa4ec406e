namespace Megaphone.Links;

/// <summary>Delays guesses of the secret, by address (section 6 of the link protocol).</summary>
/// <remarks>
/// <para>After a wrong secret an address gets one attempt a second, on however many links it guesses: each <c>hello</c> takes the next free
/// second. An address without a recent failure has no entry and never waits.</para>
/// <para>Bounded: when there are too many addresses, those whose delay ends first are removed first. Thread-safe.</para>
/// </remarks>
/// <param name="time">The clock; null: the system's.</param>
internal sealed class AuthenticationThrottle(TimeProvider? time = null)
{
    /// <summary>The most addresses that have an entry.</summary>
    public const int MaxAddresses = 4096;

    /// <summary>The delay that one wrong secret adds.</summary>
    public static readonly TimeSpan Delay = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait: less than ECMs wait for the answer to their <c>hello</c> (<c>Ecm:Link:ConnectTimeout</c>, 5 s).</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(4);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly long _start = (time ?? TimeProvider.System).GetTimestamp();
    private readonly Dictionary<PeerAddress, TimeSpan> _nextAttempt = [];
    private readonly Lock _lock = new();

    /// <summary>Reserves the next attempt for a <c>hello</c>.</summary>
    /// <param name="address">Where it comes from.</param>
    /// <param name="wait">How long the hello has to wait before its secret is checked; zero: not at all.</param>
    /// <returns>False when it would have to wait longer than <see cref="MaxWait"/>.</returns>
    public bool TryReserveAttempt(PeerAddress address, out TimeSpan wait)
    {
        lock (_lock)
        {
            wait = TimeSpan.Zero;
            if (!_nextAttempt.TryGetValue(address, out TimeSpan next)) return true;
            wait = next - Now;
            if (wait > MaxWait) return false;
            if (wait > TimeSpan.Zero)
            {
                _nextAttempt[address] = next + Delay;
            }
            else
            {
                _nextAttempt.Remove(address);
                wait = TimeSpan.Zero;
            }

            return true;
        }
    }

    /// <summary>Records a wrong secret.</summary>
    /// <param name="address">Where it came from.</param>
    /// <param name="hadWaited">Whether it had waited, and so has used its second already.</param>
    public void AddFailure(PeerAddress address, bool hadWaited)
    {
        lock (_lock)
        {
            TimeSpan now = Now;
            TimeSpan next = _nextAttempt.GetValueOrDefault(address);
            if (next < now || hadWaited) next = Max(next, now + Delay);
            else next += Delay;
            if (_nextAttempt.Count >= MaxAddresses && !_nextAttempt.ContainsKey(address)) RemoveExpired(now);
            _nextAttempt[address] = next;
        }
    }

    private TimeSpan Now => _time.GetElapsedTime(_start);

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    /// <summary>Removes the entries that have expired; when none has, the one that expires first.</summary>
    private void RemoveExpired(TimeSpan now)
    {
        (PeerAddress Address, TimeSpan Next) first = (default, TimeSpan.MaxValue);
        foreach ((PeerAddress address, TimeSpan next) in _nextAttempt)
        {
            if (next <= now) _nextAttempt.Remove(address);
            else if (next < first.Next) first = (address, next);
        }

        if (_nextAttempt.Count >= MaxAddresses) _nextAttempt.Remove(first.Address);
    }
}
