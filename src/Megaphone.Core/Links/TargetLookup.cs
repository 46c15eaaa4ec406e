using System.Net;
using System.Net.Sockets;
using Megaphone.Values;

namespace Megaphone.Links;

/// <summary>Looks up the names of configured targets: every 30 s, again soon after a failed look-up, and when somebody asks.</summary>
/// <remarks>Thread-safe. Nobody ever waits for a name server: what is known stays in use.</remarks>
internal sealed class TargetLookup : IDisposable
{
    /// <summary>The time between two look-ups of a name.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    /// <summary>The least time between two, and the wait after the first failed one, which doubles each time.</summary>
    private static readonly TimeSpan LeastInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long an answer is waited for.</summary>
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(10);

    private readonly Resolver _resolve;
    private readonly Action<IReadOnlyList<TargetAddress>> _onChanged;
    private readonly Action<HostPort, string> _onFailed;
    private readonly TimeProvider _time;
    private readonly long _created;
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Name[] _names;
    private bool _disposed;

    /// <summary>Makes it; nothing is looked up before <see cref="StartAsync"/>.</summary>
    /// <param name="targets">The targets; those that are addresses or Unix sockets are never looked up.</param>
    /// <param name="onChanged">Gets all addresses that have not left, when that has changed. Calls do not overlap; it must not block.</param>
    /// <param name="onFailed">Gets why a look-up failed, unless the one before failed for the same reason.</param>
    /// <param name="resolve">Looks a name up; null: as the system does.</param>
    /// <param name="time">The clock; null: the system's.</param>
    public TargetLookup(
        IReadOnlyList<HostPort> targets,
        Action<IReadOnlyList<TargetAddress>> onChanged,
        Action<HostPort, string> onFailed,
        Resolver? resolve = null,
        TimeProvider? time = null)
    {
        _onChanged = onChanged;
        _onFailed = onFailed;
        _resolve = resolve ?? Dns.GetHostAddressesAsync;
        _time = time ?? TimeProvider.System;
        _created = _time.GetTimestamp();
        _names = [.. targets.Select(target => new Name(target))];
        foreach (Name name in _names)
        {
            if (name.Target.Known is null)
                name.Timer = _time.CreateTimer(_ => _ = LookUpAsync(name), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Looks a name up.</summary>
    public delegate Task<IPAddress[]> Resolver(string host, CancellationToken stop);

    private TimeSpan Now => _time.GetElapsedTime(_created);

    /// <summary>Passes on the addresses that are configured as such, and begins to look up the names.</summary>
    /// <returns>Completes when each name has been looked up once, whatever came of it.</returns>
    public Task StartAsync()
    {
        lock (_lock) Publish();
        return Task.WhenAll(_names.Where(name => name.Timer is not null).Select(LookUpAsync));
    }

    /// <summary>Has all names looked up soon: something has failed that a new answer might explain.</summary>
    public void Request()
    {
        lock (_lock)
        {
            foreach (Name name in _names)
            {
                // Without a due time it is being looked up now.
                if (name.Due is null) continue;
                TimeSpan soon = name.LastAnswer + LeastInterval;
                if (soon < name.Due) Schedule(name, soon);
            }
        }
    }

    /// <summary>Stops looking names up. What is being looked up is forgotten.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            foreach (Name name in _names) name.Timer?.Dispose();
        }

        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task LookUpAsync(Name name)
    {
        CancellationToken stop;
        lock (_lock)
        {
            if (_disposed) return;
            name.Due = null;
            stop = _stop.Token;
        }

        IPAddress[] answer = [];
        string? failure = null;
        try
        {
            answer = await _resolve(name.Target.Host, stop).WaitAsync(AnswerTimeout, _time, stop).ConfigureAwait(false);
            if (answer.Length == 0) failure = "the name has no address";
        }
        catch (Exception e) when (e is SocketException or ArgumentException or TimeoutException or OperationCanceledException)
        {
            failure = e is TimeoutException ? $"no answer within {AnswerTimeout.TotalSeconds:0} s" : e.Message;
        }

        lock (_lock)
        {
            if (_disposed) return;
            if (name.Book.Update(answer, Now)) Publish();
            name.LastAnswer = Now;
            name.Failures = failure is null ? 0 : name.Failures + 1;
            Schedule(name, Now + (failure is null ? Interval : RetryAfter(name.Failures)));
            if (failure is not null && failure != name.Failure) _onFailed(name.Target, failure);
            name.Failure = failure;
        }
    }

    private static TimeSpan RetryAfter(int failures)
    {
        TimeSpan doubled = LeastInterval * Math.Pow(2, Math.Min(failures - 1, 10));
        return doubled < Interval ? doubled : Interval;
    }

    private void Schedule(Name name, TimeSpan due)
    {
        name.Due = due;
        TimeSpan wait = due - Now;
        name.Timer!.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void Publish() => _onChanged([.. _names.SelectMany(name => name.Book.Addresses)]);

    private sealed class Name(HostPort target)
    {
        public HostPort Target { get; } = target;

        public AddressBook Book { get; } = new(target);

        /// <summary>Begins the next look-up; null for a target that is an address.</summary>
        public ITimer? Timer { get; set; }

        /// <summary>When that will be; null while one is under way, and for an address.</summary>
        public TimeSpan? Due { get; set; }

        public TimeSpan LastAnswer { get; set; }

        /// <summary>How many look-ups in a row have failed, and why the last one did.</summary>
        public int Failures { get; set; }

        public string? Failure { get; set; }
    }
}
