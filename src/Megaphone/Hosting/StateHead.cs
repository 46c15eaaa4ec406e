using System.Net;
using Megaphone.Admin;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Handover;
using Megaphone.Hub;
using Megaphone.Preflight;

namespace Megaphone.Hosting;

/// <summary>What of a process's state decides whether a configuration fits: what the rehearsal of its next image reads.</summary>
/// <param name="Ecm">The ECM's; null: it does not run.</param>
/// <param name="Hub">The hub's; null: it does not run.</param>
/// <param name="Admin">What the admin endpoint listens on.</param>
internal sealed record StateHead(EcmHead? Ecm, HubHead? Hub, AdminSockets Admin)
{
    /// <summary>Writes it.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(Ecm is not null);
        Ecm?.Save(writer, isAlone: true);
        writer.Write(Hub is not null);
        Hub?.Save(writer, isAlone: true);
        Admin.Save(writer, isAlone: true);
    }

    /// <summary>Reads it.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static StateHead Restore(StateReader reader) => new(
        reader.ReadFlag() ? EcmHead.Restore(reader) : null, reader.ReadFlag() ? HubHead.Restore(reader) : null, AdminSockets.Restore(reader));

    /// <summary>Why a configuration cannot take the place of the one that runs, as far as can be known without listening; null: it can.</summary>
    public string? FindObstacle(Settings settings)
    {
        if (settings.Ecm is null && Ecm is not null) return "Ecm: to take a role out needs a restart: drain the clients first (SIGUSR1)";
        if (settings.Hub is null && Hub is not null) return "Hub: to take a role out needs a restart: drain it first (SIGUSR1)";
        if (settings.Ecm is { } ecm && Ecm?.FindObstacle(ecm) is { } ofEcm) return ofEcm;
        if (settings.Hub is { } hub && Hub?.FindObstacle(hub) is { } ofHub) return ofHub;
        foreach ((string key, EndPoint address) in settings.Listeners)
        {
            bool isThere = key.StartsWith("Admin:", StringComparison.Ordinal) ? Admin.Has(address)
                : key.StartsWith("Hub:", StringComparison.Ordinal) ? Hub?.HasListener(address) is true
                : Ecm?.HasListener(address) is true;
            if (!isThere && BindProbe.Try(address) is { } problem) return $"{key} \"{address}\": {problem.Reason}; {problem.Fix}";
        }

        return settings.Admin?.Socket is { } path && path != Admin.Path && OperatorSocket.FindObstacle(path) is { } missing
            ? $"{SettingKeys.AdminSocket.Path} \"{path}\": {missing}"
            : null;
    }
}
