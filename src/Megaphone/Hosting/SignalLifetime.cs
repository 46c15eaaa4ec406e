using System.Runtime.InteropServices;
using Megaphone.Configuration;
using Megaphone.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>
/// Ends the service on SIGTERM, SIGINT and SIGQUIT: the first one in order, the second one at once. No other signal that people or programs
/// send ends it: each is told in the log.
/// </summary>
/// <remarks>Left alone are those by which the kernel tells of a fault or a limit (SIGSEGV, SIGXCPU), and those that the runtime uses.</remarks>
internal sealed class SignalLifetime(
    Settings settings,
    IHostApplicationLifetime application,
    ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    /// <summary>Lines about one signal in an interval.</summary>
    private const int MostLines = 5;
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <summary>Signals that mean nothing here and would end the process, by their numbers on x86-64 and arm64: signal(7).</summary>
    private static readonly (int Number, string Name)[] Meaningless =
    [
        (10, "SIGUSR1"), (12, "SIGUSR2"), (14, "SIGALRM"), (16, "SIGSTKFLT"), (26, "SIGVTALRM"), (27, "SIGPROF"), (29, "SIGIO"), (30, "SIGPWR"),
    ];

    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly List<LogLimiter> _limiters = [];
    private int _signals;

    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
            _registrations.Add(PosixSignalRegistration.Create(signal, End));

        // Who has certificates to read anew hears it too.
        Hear((int)PosixSignal.SIGHUP, "SIGHUP", () => ServiceLog.HungUp(log));
        foreach ((int number, string name) in Meaningless) Hear(number, name, () => ServiceLog.SignalIgnored(log, name));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _limiters.ForEach(limiter => limiter.Dispose());
    }

    private void Hear(int number, string name, Action tell)
    {
        LogLimiter limiter = new(MostLines, Interval, count => ServiceLog.SignalsMore(log, name, count, (int)Interval.TotalSeconds));
        _limiters.Add(limiter);
        _registrations.Add(PosixSignalRegistration.Create((PosixSignal)number, context =>
        {
            context.Cancel = true;
            if (limiter.TryPass()) tell();
        }));
    }

    private void End(PosixSignalContext context)
    {
        // From the second one on the signal does what it does by itself.
        if (Interlocked.Increment(ref _signals) > 1) return;

        context.Cancel = true;
        ServiceLog.Stopping(log, context.Signal.ToString(), settings.StopTimeout);
        application.StopApplication();
    }
}
