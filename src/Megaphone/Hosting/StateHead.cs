using System.Net;
using Megaphone.Admin;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Handover;
using Megaphone.Preflight;

namespace Megaphone.Hosting;

/// <summary>What of a process's state decides whether a configuration fits: what the rehearsal of its next image reads.</summary>
/// <param name="Ecm">The ECM's; null: it does not run.</param>
/// <param name="Admin">What the admin endpoint listens on.</param>
internal sealed record StateHead(EcmHead? Ecm, AdminSockets Admin)
{
    /// <summary>Writes it.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(Ecm is not null);
        Ecm?.Save(writer, isAlone: true);
        Admin.Save(writer, isAlone: true);
    }

    /// <summary>Reads it.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static StateHead Restore(StateReader reader) =>
        new(reader.ReadFlag() ? EcmHead.Restore(reader) : null, AdminSockets.Restore(reader));

    /// <summary>Why a configuration cannot take the place of the one that runs, as far as can be known without listening; null: it can.</summary>
    public string? FindObstacle(Settings settings)
    {
        if (settings.Hub is not null) return "Hub: which roles run can only be changed by a restart";
        if (settings.Ecm is null || Ecm is null)
            return "Ecm: which roles run can only be changed by a restart: drain the clients first (SIGUSR1)";
        if (Ecm.FindObstacle(settings.Ecm) is { } obstacle) return obstacle;
        foreach ((string key, IPEndPoint address) in settings.Listeners)
        {
            bool isThere = key.StartsWith("Admin:", StringComparison.Ordinal) ? Admin.Has(address) : Ecm.HasListener(address);
            if (!isThere && BindProbe.Try(address) is { } problem) return $"{key} \"{address}\": {problem.Reason}; {problem.Fix}";
        }

        return settings.Admin?.Socket is { } path && path != Admin.Path && OperatorSocket.FindObstacle(path) is { } missing
            ? $"{SettingKeys.AdminSocket.Path} \"{path}\": {missing}"
            : null;
    }
}
