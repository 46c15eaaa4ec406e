using System.Diagnostics;

namespace Megaphone.Cores;

/// <summary>Keeps all threads of this process on one core for as long as that is enough for them.</summary>
/// <remarks>
/// <para>A message makes its way through a chain of threads, each of which wakes the next. The scheduler puts a thread that wakes on
/// a core that is idle, if there is one, and to wake that core costs the waker several times what the message does, above all in a
/// virtual machine, where it is the hypervisor's work. On one core none has to be woken. An ECM and a hub of the same machine therefore
/// share theirs: the hub comes to where its links come in.</para>
/// <para>Whether the core is still enough is looked at four times a second, by how long the threads ran and waited.</para>
/// </remarks>
internal sealed class CoreKeeper : IDisposable
{
    /// <summary>Milliseconds from one look to the next.</summary>
    private const int Interval = 250;

    /// <summary>Milliseconds from one move after what comes in to the next: it may come in here and there.</summary>
    private const int MoveInterval = 5_000;

    /// <summary>Below this share of a core it is not asked who waited: next to nobody wants to run.</summary>
    private const double Idle = 0.002;

    /// <summary>In place of a core's number: they are kept to none.</summary>
    private const int All = -1;

    /// <summary>In place of a core's number: some may be where they were before.</summary>
    private const int Unknown = -2;

    private readonly CoreSet _allowed;
    private readonly Func<int?> _home;
    private readonly CoreLog _log;
    private readonly ProcessThreads _threads;
    private readonly Lock _looking = new();
    private readonly Timer _timer;
    private CoreDemand _demand;
    private TimeSpan _ran = Environment.CpuUsage.TotalTime;
    private TimeSpan? _waited;
    private long _lookedAt = Stopwatch.GetTimestamp();
    private int _core = All;
    private int _homeBefore = All;
    private long _movedAt = -MoveInterval;
    private bool _changed;
    private bool _over;

    private CoreKeeper(CoreSet allowed, ProcessThreads threads, Func<int?> home, CoreLog log)
    {
        _threads = threads;
        _allowed = allowed;
        _home = home;
        _log = log;
        _timer = new Timer(_ => LookAndGoOn());
        if (allowed.Count > 1) GoOn();
    }

    /// <summary>Begins to look.</summary>
    /// <param name="home">The core that suits best now, because what is to be done comes from there; null: where they are.</param>
    /// <param name="log">Where it is told.</param>
    /// <returns>Null where the kernel does not let a process choose its cores, or does not tell what it has to know for that.</returns>
    public static CoreKeeper? TryStart(Func<int?> home, CoreLog log)
    {
        try
        {
            CoreSet allowed = ProcessThreads.Allowed();
            ProcessThreads threads = new();
            threads.KeepTo(allowed);
            threads.Waited();
            return new CoreKeeper(allowed, threads, home, log);
        }
        catch (Exception e) when (IsTheKernels(e))
        {
            log.CannotKeep(e.Message);
            return null;
        }
    }

    /// <summary>How many cores the threads are kept to now. Thread-safe.</summary>
    public int Count => Volatile.Read(ref _core) >= 0 ? 1 : _allowed.Count;

    /// <summary>Looks no more; the threads stay where they are.</summary>
    public void Dispose()
    {
        lock (_looking)
        {
            _over = true;
            _timer.Dispose();
        }
    }

    private static bool IsTheKernels(Exception e) => e is IOException or UnauthorizedAccessException;

    private void GoOn() => _timer.Change(Interval, Timeout.Infinite);

    private void LookAndGoOn()
    {
        lock (_looking)
        {
            if (_over) return;
            try
            {
                Look();
            }
            catch (Exception e) when (IsTheKernels(e))
            {
                // The next look tries again.
                _log.Failed(e.Message);
            }

            GoOn();
        }
    }

    private void Look()
    {
        TimeSpan passed = Stopwatch.GetElapsedTime(_lookedAt);
        _lookedAt = Stopwatch.GetTimestamp();
        TimeSpan ranBefore = _ran;
        _ran = Environment.CpuUsage.TotalTime;
        double ran = (_ran - ranBefore) / passed;
        double waited = Waited(ran, passed);
        long now = Environment.TickCount64;
        _demand.Note(ran, waited, now);

        int core = !_demand.IsGathered ? All : _core < 0 ? Home() ?? ProcessThreads.CurrentCore() : Follow(ran, now);
        if (core != _core) KeepTo(core, ran, waited);
        else if (_changed) KeepNewThreadsTo(core);
    }

    private double Waited(double ran, TimeSpan passed)
    {
        TimeSpan? before = _waited;
        _waited = null;
        if (!_demand.IsGathered || ran < Idle) return 0;
        try
        {
            _waited = _threads.Waited();
        }
        catch (Exception e) when (IsTheKernels(e))
        {
            // Without descriptors, say: what they ran is known all the same.
            _log.Failed(e.Message);
        }

        // A thread that has ended has taken its share along.
        return before is { } known && _waited > known ? (_waited.Value - known) / passed : 0;
    }

    /// <summary>Where they should be, if that is among the cores that they may use.</summary>
    private int? Home() => _home() is { } home && _allowed.Contains(home) ? home : null;

    /// <summary>Stays, or moves on to where everything comes in now.</summary>
    private int Follow(double ran, long now)
    {
        int home = Home() ?? _core;
        bool lasts = home == _homeBefore;
        _homeBefore = home;
        if (home == _core || !lasts || !CoreDemand.IsLittle(ran) || now - _movedAt < MoveInterval) return _core;
        _movedAt = now;
        return home;
    }

    private void KeepTo(int core, double ran, double waited)
    {
        Volatile.Write(ref _core, Unknown);
        _threads.KeepTo(SetOf(core));
        Volatile.Write(ref _core, core);
        _changed = true;
        if (core == All) _log.Spread(_allowed.Count, ran, waited);
        else _log.Gathered(core, ran);
    }

    /// <summary>At the look after a change: also those that were being started then.</summary>
    private void KeepNewThreadsTo(int core)
    {
        _threads.KeepTo(SetOf(core));
        _changed = false;
    }

    private CoreSet SetOf(int core) => core == All ? _allowed : CoreSet.Of(core);
}
