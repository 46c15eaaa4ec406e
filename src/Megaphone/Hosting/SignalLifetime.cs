using System.Runtime.InteropServices;
using Megaphone.Configuration;
using Megaphone.Metrics;
using Megaphone.Values;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>
/// Stops the service on SIGTERM, SIGINT and SIGQUIT: the first one gracefully, the second one at once. No other signal that people or
/// programs send ends it: each is logged.
/// </summary>
/// <remarks>Signals by which the kernel reports a fault or a limit (SIGSEGV, SIGXCPU), and those that the runtime uses, keep their effect.</remarks>
internal sealed class SignalLifetime(
    Settings settings,
    IHostApplicationLifetime application,
    ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    /// <summary>The most lines about one signal in an interval.</summary>
    private const int MaxLines = 5;
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <summary>Signals that are not used here and would end the process, with their numbers on x86-64 and arm64: signal(7).</summary>
    private static readonly (int Number, string Name)[] Ignored =
    [
        (12, "SIGUSR2"), (14, "SIGALRM"), (16, "SIGSTKFLT"), (26, "SIGVTALRM"), (27, "SIGPROF"), (29, "SIGIO"), (30, "SIGPWR"),
    ];

    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly List<LogLimiter> _limiters = [];
    private int _signals;

    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
            _registrations.Add(PosixSignalRegistration.Create(signal, Stop));

        // CertificateReload handles it too.
        LogOnly((int)PosixSignal.SIGHUP, "SIGHUP", () => ServiceLog.Reloading(log));
        foreach ((int number, string name) in Ignored) LogOnly(number, name, () => ServiceLog.SignalIgnored(log, name));
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

    private void LogOnly(int number, string name, Action write)
    {
        LogLimiter limiter = new(MaxLines, Interval, count => ServiceLog.SignalsMore(log, name, count, (int)Interval.TotalSeconds));
        _limiters.Add(limiter);
        _registrations.Add(PosixSignalRegistration.Create((PosixSignal)number, context =>
        {
            context.Cancel = true;
            if (limiter.TryPass()) write();
        }));
    }

    private void Stop(PosixSignalContext context)
    {
        // The second signal has its default effect.
        if (Interlocked.Increment(ref _signals) > 1) return;

        context.Cancel = true;
        ServiceLog.Stopping(log, context.Signal.ToString(), DurationText.Of(settings.StopTimeout));
        application.StopApplication();
    }
}
