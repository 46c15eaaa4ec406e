using System.Numerics;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Values;

namespace Megaphone.Hub;

/// <summary>The addresses of the backends, and which of them each session is connected to. Thread-safe.</summary>
/// <remarks>
/// <para>A new session goes to the address with the fewest. If that refuses it, or does not answer, it goes to the next, until each has been
/// tried once. An address that failed is out: it is tried after the others only, or by a single session when its back-off has passed.</para>
/// <para>Sessions never wait for a name server: they use the addresses that are known.</para>
/// </remarks>
internal sealed class BackendAddresses : IDisposable
{
    /// <summary>Further addresses are not used: there is a bit for each in <see cref="BackendAttempts.Tried"/>.</summary>
    public const int MaxAddresses = 64;

    /// <summary>How long the start waits for name servers; sessions that are opened before their answers are refused.</summary>
    private static readonly TimeSpan InitialTimeout = TimeSpan.FromSeconds(1);

    /// <summary>The back-off after the first failure, which doubles each time, and its bound.</summary>
    private static readonly TimeSpan RetryMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(30);

    private readonly IReadOnlyList<HostPort> _backends;
    private readonly HubLog _log;
    private readonly TimeProvider _time;
    private readonly long _created;
    private readonly TargetLookup _lookup;
    private readonly Lock _lock = new();

    /// <summary>A place stays an address's own while it has sessions.</summary>
    private readonly BackendAddress?[] _places = new BackendAddress?[MaxAddresses];
    private int _used;
    private int _turn;
    private bool _isStarted;

    /// <summary>Makes it, without any address.</summary>
    /// <param name="backends">The configured backends.</param>
    /// <param name="log">The hub's log.</param>
    /// <param name="resolve">Looks names up; null: as the system does.</param>
    /// <param name="time">The clock; null: the system's.</param>
    public BackendAddresses(
        IReadOnlyList<HostPort> backends, HubLog log, TargetLookup.Resolver? resolve = null, TimeProvider? time = null)
    {
        _backends = backends;
        _log = log;
        _time = time ?? TimeProvider.System;
        _created = _time.GetTimestamp();
        _lookup = new TargetLookup(backends, Update, (backend, reason) => log.Unresolved(backend.Host, reason), resolve, time);
    }

    private TimeSpan Now => _time.GetElapsedTime(_created);

    /// <summary>Looks the names up for the first time, unless that has been done; a failure is logged and retried, not thrown. Where addresses
    /// were handed over nobody waits for the answers.</summary>
    public void Start()
    {
        if (_isStarted) return;
        _isStarted = true;
        Task answered = _lookup.StartAsync();
        if (!_places.Any(place => place is { IsListed: true })) answered.Wait(InitialTimeout);
    }

    /// <summary>Writes the addresses, without the sessions.</summary>
    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write(_used);
            for (int i = 0; i < _used; i++)
            {
                writer.Write(_places[i] is not null);
                _places[i]?.Save(writer, Now);
            }
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written, before <see cref="Start"/>: those that are not configured any more get no new
    /// sessions.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader)
    {
        lock (_lock)
        {
            _used = reader.ReadNumber(0, MaxAddresses, "the number of backends");
            for (int i = 0; i < _used; i++)
            {
                if (!reader.ReadFlag()) continue;
                BackendAddress place = _places[i] = BackendAddress.Restore(reader, Now);
                place.IsListed &= _backends.Contains(place.Address.Target);
            }
        }
    }

    /// <summary>Counts a session that was handed over.</summary>
    /// <returns>False when there is no address that it is, or is being, connected to.</returns>
    public bool TryRestore(in BackendAttempts attempts)
    {
        lock (_lock)
        {
            if (attempts.Current == 0) return true;
            if (attempts.Current > _used || _places[attempts.Current - 1] is not { } place) return false;
            place.Sessions++;
            return true;
        }
    }

    /// <summary>Gets the first address for a new session.</summary>
    /// <returns>False when no address is known.</returns>
    public bool TryStart(out BackendAttempts attempts, out NativeAddress first)
    {
        attempts = default;
        lock (_lock) return TryTake(ref attempts, out first);
    }

    /// <summary>Gets the next address after one failed.</summary>
    /// <returns>False when each has been tried.</returns>
    public bool TryNext(ref BackendAttempts attempts, out NativeAddress address)
    {
        bool hasNext;
        lock (_lock)
        {
            if (Leave(ref attempts) is { } failed) Fail(failed);
            hasNext = TryTake(ref attempts, out address);
        }

        _lookup.Request();
        return hasNext;
    }

    /// <summary>Records that the address tried last was connected.</summary>
    public void Succeeded(in BackendAttempts attempts)
    {
        lock (_lock)
        {
            if (attempts.Current == 0 || _places[attempts.Current - 1] is not { Failures: > 0 } back) return;
            back.Failures = 0;
            if (HasOthers(back)) _log.BackendIsBack(back.Address.ToString(), (Now - back.OutSince).TotalSeconds);
        }
    }

    /// <summary>Records that a session is over, or was not opened after all.</summary>
    public void Release(ref BackendAttempts attempts)
    {
        lock (_lock) Leave(ref attempts);
    }

    /// <summary>How each configured backend is: how many of its addresses are in use, and their sessions.</summary>
    public IReadOnlyList<ServerStatus> Status()
    {
        lock (_lock)
        {
            return [.. _backends.Select(backend =>
            {
                BackendAddress[] own = [.. _places.OfType<BackendAddress>().Where(place => place.Address.Target == backend)];
                return new ServerStatus(
                    backend.ToString(), own.Count(address => address is { IsListed: true, Failures: 0 }), own.Sum(address => (long)address.Sessions));
            })];
        }
    }

    /// <summary>Stops looking names up.</summary>
    public void Dispose() => _lookup.Dispose();

    private void Update(IReadOnlyList<TargetAddress> addresses)
    {
        lock (_lock)
        {
            foreach (BackendAddress place in _places.OfType<BackendAddress>()) place.IsListed = addresses.Contains(place.Address);
            foreach (TargetAddress address in addresses.Where(address => !_places.Any(place => place?.Address == address)))
            {
                int free = Array.FindIndex(_places, place => place is null or { IsListed: false, Sessions: 0 });
                if (free >= 0) (_places[free], _used) = (new BackendAddress(address), Math.Max(_used, free + 1));
                else _log.TooManyAddresses(address.ToString(), MaxAddresses);
            }
        }
    }

    /// <summary>Of those in use that have not been tried the one with the fewest sessions, else of those that are out the one due first.</summary>
    private bool TryTake(ref BackendAttempts attempts, out NativeAddress address)
    {
        TimeSpan now = Now;
        BackendAddress? best = null;
        int index = -1;
        _turn++;
        for (int i = 0; i < _used; i++)
        {
            int place = (int)((uint)(i + _turn) % (uint)_used);
            if ((attempts.Tried >> place & 1) != 0 || _places[place] is not { IsListed: true } candidate) continue;
            if (best is null || Rank(candidate).CompareTo(Rank(best)) < 0) (best, index) = (candidate, place);
        }

        address = best?.Native ?? default;
        if (best is null) return false;

        // One session tries it; others follow when that has succeeded.
        if (best.Failures > 0) best.RetryAt = now + BackOff(best.Failures);
        best.Sessions++;
        attempts.Tried |= 1UL << index;
        attempts.Current = (byte)(index + 1);
        return true;

        (bool IsOut, TimeSpan RetryAt, int Sessions) Rank(BackendAddress one) =>
            one.Failures > 0 && one.RetryAt > now ? (true, one.RetryAt, 0) : (false, TimeSpan.Zero, one.Sessions);
    }

    private BackendAddress? Leave(ref BackendAttempts attempts)
    {
        if (attempts.Current == 0) return null;
        BackendAddress left = _places[attempts.Current - 1]!;
        left.Sessions--;
        attempts.Current = 0;
        return left;
    }

    private void Fail(BackendAddress failed)
    {
        if (failed.Failures++ == 0)
        {
            failed.OutSince = Now;
            if (HasOthers(failed)) _log.BackendIsOut(failed.Address.ToString(), RetryMax.TotalSeconds);
        }

        failed.RetryAt = Now + BackOff(failed.Failures);
    }

    private bool HasOthers(BackendAddress one) => _places.Any(place => place is { IsListed: true } && place != one);

    private static TimeSpan BackOff(int failures)
    {
        TimeSpan doubled = RetryMin * BitOperations.RotateLeft(1u, Math.Min(failures - 1, 10));
        return doubled < RetryMax ? doubled : RetryMax;
    }
}
