using System.Runtime.InteropServices;

namespace Megaphone.Bench;

/// <summary>Catches SIGINT and SIGTERM, so that a run ends in order; the second signal ends the process at once.</summary>
internal sealed class StopSignal : IDisposable
{
    private readonly PosixSignalRegistration[] _registrations;
    private volatile bool _received;

    /// <summary>Begins to catch them.</summary>
    public StopSignal() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Note),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Note),
    ];

    /// <summary>Whether one was received.</summary>
    public bool IsReceived => _received;

    /// <summary>Leaves the signals to the runtime again.</summary>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
    }

    private void Note(PosixSignalContext context)
    {
        context.Cancel = !_received;
        _received = true;
    }
}
