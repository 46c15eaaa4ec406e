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
    SignalThread signals,
    ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    /// <summary>The most lines about one signal in an interval.</summary>
    private const int MaxLines = 5;
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private static readonly (int Number, string Name)[] Ending = [(2, "SIGINT"), (3, "SIGQUIT"), (15, "SIGTERM")];

    /// <summary>Signals that are not used here and would end the process, with their numbers on x86-64 and arm64: signal(7).</summary>
    private static readonly (int Number, string Name)[] Ignored =
    [
        (12, "SIGUSR2"), (14, "SIGALRM"), (16, "SIGSTKFLT"), (26, "SIGVTALRM"), (27, "SIGPROF"), (29, "SIGIO"), (30, "SIGPWR"),
    ];

    private readonly List<LogLimiter> _limiters = [];
    private bool _isStopping;

    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach ((int number, string name) in Ending) signals.Handle(number, () => Stop(number, name));
        foreach ((int number, string name) in Ignored) LogOnly(number, name);

        // A signal that comes during the start waits for its end: a start that is given up half-way would not be a stop in order.
        application.ApplicationStarted.Register(signals.Start);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose() => _limiters.ForEach(limiter => limiter.Dispose());

    private void LogOnly(int number, string name)
    {
        LogLimiter limiter = new(MaxLines, Interval, count => ServiceLog.SignalsMore(log, name, count, (int)Interval.TotalSeconds));
        _limiters.Add(limiter);
        signals.Handle(number, () =>
        {
            if (limiter.TryPass()) ServiceLog.SignalIgnored(log, name);
        });
    }

    private void Stop(int number, string name)
    {
        if (_isStopping) SignalThread.TakeEffect(number);
        _isStopping = true;
        ServiceLog.Stopping(log, name, DurationText.Of(settings.StopTimeout));
        application.StopApplication();
    }
}
