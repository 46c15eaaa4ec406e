namespace Megaphone.Links;

/// <summary>What a wrong secret costs the address that it comes from: time (section 6 of the link protocol).</summary>
/// <remarks>
/// <para>Behind a wrong secret an address has one look a second, however many links it guesses on: each <c>hello</c> takes the next second
/// that is free. An address from which no wrong secret came within its time has no entry and waits for nothing.</para>
/// <para>Bounded: when there are too many addresses, those go first whose time is over soonest. Thread-safe.</para>
/// </remarks>
/// <param name="time">The clock; null: the system's.</param>
internal sealed class WrongSecrets(TimeProvider? time = null)
{
    /// <summary>Addresses that are remembered.</summary>
    public const int MaxAddresses = 4096;

    /// <summary>What one wrong secret costs.</summary>
    public static readonly TimeSpan Cost = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait: less than ECMs wait for the answer to their <c>hello</c> (<c>Ecm:Link:ConnectTimeout</c>, 5 s).</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(4);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly long _start = (time ?? TimeProvider.System).GetTimestamp();
    private readonly Dictionary<PeerAddress, TimeSpan> _nextLook = [];
    private readonly Lock _lock = new();

    /// <summary>Asks when a <c>hello</c> may be looked at, and takes that time for it.</summary>
    /// <param name="address">Where it comes from.</param>
    /// <param name="wait">How long it has to wait; zero: it may be looked at now.</param>
    /// <returns>False when it would have to wait for too long.</returns>
    public bool TryTakeTurn(PeerAddress address, out TimeSpan wait)
    {
        lock (_lock)
        {
            wait = TimeSpan.Zero;
            if (!_nextLook.TryGetValue(address, out TimeSpan next)) return true;
            wait = next - Now;
            if (wait > LongestWait) return false;
            if (wait > TimeSpan.Zero)
            {
                _nextLook[address] = next + Cost;
            }
            else
            {
                _nextLook.Remove(address);
                wait = TimeSpan.Zero;
            }

            return true;
        }
    }

    /// <summary>A secret was wrong.</summary>
    /// <param name="address">Where it came from.</param>
    /// <param name="hadWaited">Whether it had waited for its turn, and so has taken its second already.</param>
    public void Add(PeerAddress address, bool hadWaited)
    {
        lock (_lock)
        {
            TimeSpan now = Now;
            TimeSpan next = _nextLook.GetValueOrDefault(address);
            if (next < now || hadWaited) next = Max(next, now + Cost);
            else next += Cost;
            if (_nextLook.Count >= MaxAddresses && !_nextLook.ContainsKey(address)) MakeRoom(now);
            _nextLook[address] = next;
        }
    }

    private TimeSpan Now => _time.GetElapsedTime(_start);

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    /// <summary>Forgets what is over; the one that will be over first, where nothing is.</summary>
    private void MakeRoom(TimeSpan now)
    {
        (PeerAddress Address, TimeSpan Next) first = (default, TimeSpan.MaxValue);
        foreach ((PeerAddress address, TimeSpan next) in _nextLook)
        {
            if (next <= now) _nextLook.Remove(address);
            else if (next < first.Next) first = (address, next);
        }

        if (_nextLook.Count >= MaxAddresses) _nextLook.Remove(first.Address);
    }
}
