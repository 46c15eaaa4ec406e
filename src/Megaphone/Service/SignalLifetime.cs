using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Megaphone.Service;

/// <summary>Ends the service on SIGTERM and SIGINT: the first one in order, the second one at once.</summary>
internal sealed class SignalLifetime(
    Settings settings,
    IHostApplicationLifetime application,
    ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _signals;

    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal));

        // It would end the process. Who has something to read anew hears it too; where nobody has, it means nothing.
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void OnSignal(PosixSignalContext context)
    {
        // From the second one on the signal does what it does by itself.
        if (Interlocked.Increment(ref _signals) > 1) return;

        context.Cancel = true;
        ServiceLog.Stopping(log, context.Signal.ToString(), settings.StopTimeout);
        application.StopApplication();
    }
}
