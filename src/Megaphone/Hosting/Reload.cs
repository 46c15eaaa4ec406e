using System.Diagnostics;
using Megaphone.Admin;
using Megaphone.Handover;
using Megaphone.Metrics;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>Has the installed binary, with the configuration as it is now, take the place of this one, with everybody still connected.</summary>
/// <remarks>
/// What does not fit is found out by a rehearsal, and nothing else has happened then. Behind it the process stands still, writes its
/// state, and executes the binary: the process stays the same. If even that fails it goes on.
/// </remarks>
/// <param name="image">How the process was started.</param>
/// <param name="service">What is handed over.</param>
/// <param name="systemd">Is told.</param>
/// <param name="counters">Counts.</param>
/// <param name="lastWords">Writes the log out, as far as that has been waiting.</param>
/// <param name="signals">Takes the process's signals.</param>
/// <param name="log">The log.</param>
internal sealed class Reload(
    ProcessImage image, IHandedOver service, SystemdNotifier systemd, ReloadCounters counters, LastWords lastWords, SignalThread signals,
    ILogger log)
{
    private static readonly TimeSpan LongestRehearsal = TimeSpan.FromSeconds(20);

    /// <summary>Orders that follow each other sooner are one: each may write a line to the log.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly ReloadResult[] Results = Enum.GetValues<ReloadResult>();

    private readonly ReloadOrders _orders = new();
    private readonly TaskCompletionSource _begun = new();
    private readonly Lock _lock = new();
    private Task? _last;
    private long _beganAt = Environment.TickCount64 - (long)Interval.TotalMilliseconds;

    /// <summary>Orders a reload. Any thread.</summary>
    /// <param name="cause">For the log.</param>
    /// <param name="waiters">Who is to be told its end.</param>
    public void Order(string cause, params IEnumerable<ReloadWaiter> waiters)
    {
        _orders.Add(cause, waiters);
        Run();
    }

    /// <summary>Reads what stands before the service's own state.</summary>
    /// <returns>When the last image has begun to stand still.</returns>
    /// <exception cref="StateException">It cannot be.</exception>
    public long Restore(StateReader reader)
    {
        long began = reader.Read<long>();
        foreach (ReloadResult result in Results) counters.GoOnFrom(result, reader.Read<long>());
        for (int left = reader.ReadNumber(0, ReloadCounters.MostRemembered, "the number of reloads"); left > 0; left--)
        {
            long at = reader.Read<long>();
            reader.Check(at >= 0 && at <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds(), "when a reload was");
            ReloadResult result = (ReloadResult)reader.ReadNumber(0, Results.Length - 1, "how a reload came out");
            counters.Remember(DateTimeOffset.FromUnixTimeMilliseconds(at), result);
        }

        _orders.Restore(reader);
        return began;
    }

    /// <summary>The service has started: from now on orders are followed, those first that the last image has left.</summary>
    /// <param name="takenOver">What the last image's reload has come to, in words; null: there was none.</param>
    public void Begin(string? takenOver)
    {
        if (takenOver is not null)
        {
            _orders.Tell(new ReloadOutcome(ReloadResult.Done, takenOver));
            _beganAt = Environment.TickCount64;
        }

        _begun.SetResult();
        Run();
    }

    private void Run()
    {
        lock (_lock)
        {
            Task before = _last ?? _begun.Task;
            _last = Task.Run(() => RunAfterAsync(before));
        }
    }

    /// <summary>Does what is ordered, if anything is, when the reload before it has ended.</summary>
    private async Task RunAfterAsync(Task before)
    {
        await before.ConfigureAwait(false);
        long wait = _beganAt + (long)Interval.TotalMilliseconds - Environment.TickCount64;
        if (wait > 0) await Task.Delay((int)wait).ConfigureAwait(false);
        if (_orders.Take() is not { } cause) return;

        _beganAt = Environment.TickCount64;
        ServiceLog.Reloading(log, cause);
        systemd.Reloading();
        ReloadOutcome outcome = await RunOnceAsync().ConfigureAwait(false);
        counters.Add(outcome.Result);
        if (outcome.Result == ReloadResult.Refused) ServiceLog.ReloadRefused(log, outcome.Message);
        else ServiceLog.ReloadFailed(log, outcome.Message);
        systemd.Ready();
        _orders.Tell(outcome);
    }

    /// <summary>Returns only where nobody has taken over.</summary>
    private async Task<ReloadOutcome> RunOnceAsync()
    {
        int rehearsed = -1;
        try
        {
            if (service.FindObstacle() is { } standing)
            {
                service.ReloadCertificates();
                return new ReloadOutcome(ReloadResult.Refused, $"{standing}; certificates are read again");
            }

            rehearsed = StateFile.Write(service.SaveHead, out _);
            if ((image.Rehearse(rehearsed, LongestRehearsal) ?? service.FindObstacle()) is { } obstacle)
                return new ReloadOutcome(ReloadResult.Refused, obstacle);
            return new ReloadOutcome(ReloadResult.Failed, await HandOverAsync(rehearsed).ConfigureAwait(false));
        }
        catch (Exception error)
        {
            // Whatever it was: those who are connected must not pay for it.
            bool isExpected = error is StateException or IOException;
            return new ReloadOutcome(ReloadResult.Failed, isExpected ? error.Message : error.ToString().ReplaceLineEndings(" "));
        }
        finally
        {
            StateFile.Close(rehearsed);
        }
    }

    /// <returns>Why it has failed: this process goes on.</returns>
    private async Task<string> HandOverAsync(int rehearsed)
    {
        long began = Stopwatch.GetTimestamp();
        int state = -1;
        try
        {
            await service.SuspendAsync().ConfigureAwait(false);

            // Before the orders are written: one that is taken behind that would be lost.
            signals.Stop();
            state = StateFile.Write(writer => Save(writer, began), out DescriptorSet descriptors);
            lastWords.Write();
            return service.FindObstacle() ?? image.Execute(state, rehearsed, descriptors);
        }
        finally
        {
            signals.Start();
            StateFile.Close(state);
            service.GoOn();
        }
    }

    private void Save(StateWriter writer, long began)
    {
        writer.Write(began);
        foreach (ReloadResult result in Results) writer.Write(counters.Count(result));
        IReadOnlyList<(DateTimeOffset At, ReloadResult Result)> last = counters.Last;
        writer.Write(last.Count);
        foreach ((DateTimeOffset at, ReloadResult result) in last)
        {
            writer.Write(at.ToUnixTimeMilliseconds());
            writer.Write((int)result);
        }

        _orders.Save(writer);
        service.Save(writer);
    }
}
