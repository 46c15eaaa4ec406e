using Megaphone.Handover;

namespace Megaphone.Hosting;

/// <summary>What a reload hands over to the process's next image.</summary>
internal interface IHandedOver
{
    /// <summary>Why it cannot be handed over now; null: nothing is in the way.</summary>
    string? FindObstacle();

    /// <summary>Takes new certificates into use, since nothing else of a reload can be done now.</summary>
    void ReloadCertificates();

    /// <summary>Writes what the rehearsal needs.</summary>
    void SaveHead(StateWriter writer);

    /// <summary>Stands still, and has whoever wants to stop it wait, until <see cref="GoOn"/>.</summary>
    Task SuspendAsync();

    /// <summary>Writes everything, while it stands still.</summary>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    void Save(StateWriter writer);

    /// <summary>Goes on, since nobody has taken over: also where it stands still in part only.</summary>
    void GoOn();
}
