using System.Diagnostics;

namespace Megaphone.Cores;

/// <summary>Keeps all threads of this process on one core for as long as that is enough for them.</summary>
/// <remarks>
/// <para>A message makes its way through a chain of threads, each of which wakes the next. The scheduler puts a thread that wakes on
/// a core that is idle, if there is one, and to wake that core costs the waker several times what the message does, above all in a
/// virtual machine, where it is the hypervisor's work. On one core that costs nothing. An ECM and a hub of the same machine therefore
/// share theirs: the hub comes to where its links come in.</para>
/// <para>Whether the core is still enough is looked at four times a second, by how long the threads ran and waited.</para>
/// </remarks>
internal sealed class CoreKeeper : IDisposable
{
    /// <summary>Milliseconds from one look to the next.</summary>
    private const int Interval = 250;

    /// <summary>Below this share of a core it is not asked who waited: there is hardly anybody who could.</summary>
    private const double Idle = 0.01;

    /// <summary>In place of a core's number: they are kept to none.</summary>
    private const int All = -1;

    /// <summary>In place of a core's number: some may be where they were before.</summary>
    private const int Unknown = -2;

    private readonly CoreSet _allowed;
    private readonly Func<int?> _home;
    private readonly CoreLog _log;
    private readonly Lock _looking = new();
    private readonly Timer _timer;
    private CoreDemand _demand;
    private TimeSpan _ran = Environment.CpuUsage.TotalTime;
    private TimeSpan? _waited;
    private long _lookedAt = Stopwatch.GetTimestamp();
    private int _core = All;
    private bool _over;

    private CoreKeeper(CoreSet allowed, Func<int?> home, CoreLog log)
    {
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
            ProcessThreads.KeepTo(allowed);
            ProcessThreads.Waited();
            return new CoreKeeper(allowed, home, log);
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
                // Without descriptors, say: the next look tries again.
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
        double waited = _demand.IsGathered && ran >= Idle ? Waited(passed) : NotWatched();
        _demand.Note(ran, waited, Environment.TickCount64);

        int core = !_demand.IsGathered ? All : _core < 0 || CoreDemand.IsLittle(ran) ? Home() : _core;
        if (core != _core) KeepTo(core, ran, waited);
    }

    private double Waited(TimeSpan passed)
    {
        TimeSpan? before = _waited;
        _waited = ProcessThreads.Waited();

        // A thread that has ended has taken its share along.
        return before is { } known && _waited > known ? (_waited.Value - known) / passed : 0;
    }

    private double NotWatched()
    {
        _waited = null;
        return 0;
    }

    private int Home()
    {
        if (_home() is { } home && _allowed.Contains(home)) return home;
        return _core >= 0 ? _core : Thread.GetCurrentProcessorId();
    }

    private void KeepTo(int core, double ran, double waited)
    {
        Volatile.Write(ref _core, Unknown);
        ProcessThreads.KeepTo(core == All ? _allowed : CoreSet.Of(core));
        Volatile.Write(ref _core, core);
        if (core == All) _log.Spread(_allowed.Count, ran, waited);
        else _log.Gathered(core, ran);
    }
}
