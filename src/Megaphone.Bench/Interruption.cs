using System.Runtime.InteropServices;

namespace Megaphone.Bench;

/// <summary>Notes SIGINT and SIGTERM: a run then ends in order, and at the second signal at once.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly PosixSignalRegistration[] _registrations;
    private volatile bool _happened;

    /// <summary>Begins to listen.</summary>
    public Interruption() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Note),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Note),
    ];

    /// <summary>Whether one has come.</summary>
    public bool Happened => _happened;

    /// <summary>Listens no longer.</summary>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
    }

    private void Note(PosixSignalContext context)
    {
        context.Cancel = !_happened;
        _happened = true;
    }
}
