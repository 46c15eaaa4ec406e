using Megaphone.Configuration;
using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Tls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Megaphone.Hosting;

/// <summary>Finds out whether this binary, with this configuration, could take the place of a process whose <see cref="StateHead"/> is on standard
/// input, and leaves there the files that it has read; nothing else is changed.</summary>
internal static class Rehearsal
{
    /// <summary>What a rehearsal says at its end that has found nothing in the way. No other program says it.</summary>
    public const string Ready = "megaphone is ready to take over";

    private const int StandardInput = 0;

    /// <returns>What is in the way, in one line; null: nothing.</returns>
    public static string? Run(Settings settings)
    {
        try
        {
            StateHead? head = null;
            StateFile.Read(StandardInput, reader => head = StateHead.Restore(reader));
            if (head!.FindObstacle(settings) is { } obstacle) return obstacle;
            LoadCertificates(settings);
            StateFile.Write(StandardInput, RehearsedFiles.Save);
            return null;
        }
        catch (Exception error) when (error is StateException or CertificateException or IOException or UnauthorizedAccessException)
        {
            return error.Message;
        }
    }

    /// <exception cref="CertificateException">They cannot be used.</exception>
    private static void LoadCertificates(Settings settings)
    {
        if (settings.Ecm?.Tls is { } tls) _ = new TlsServer(tls.Server);
        foreach (LinkTlsOptions links in new[] { settings.Ecm?.Connect.Tls, settings.Hub?.Tls }.OfType<LinkTlsOptions>())
            new LinkTls(links, new RoleMetrics(Role.Ecm), new LinkLog(NullLogger<Link>.Instance)).Dispose();
    }
}
