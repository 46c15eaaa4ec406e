using System.Net;
using System.Text;
using Megaphone.Ecm;
using Megaphone.Hub;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Configuration;

/// <summary>Puts the settings of all sections together, with the rules that hold between them.</summary>
/// <remarks>
/// All sections are read, also those of a role that does not run: their keys exist all the same, and a wrong value in
/// them is wrong.
/// </remarks>
internal static class SettingsBuilder
{
    private const int LongestSocketPath = 107;

    /// <summary>Reads everything. The result only counts when no problem was added.</summary>
    public static Settings Build(SettingsReader reader)
    {
        bool? wantsEcm = reader.IsOn(SettingKeys.Ecm), wantsHub = reader.IsOn(SettingKeys.Hub);
        bool runsEcm = wantsEcm ?? wantsHub is not true;
        bool runsHub = wantsHub ?? wantsEcm is not true;
        bool hasAdmin = reader.IsOn(SettingKeys.Admin) ?? true;
        if (!runsEcm && !runsHub) reader.Refuse(SettingKeys.Ecm, "leaves nothing to run, as Hub is false, too", "true");

        EcmOptions ecm = EcmSettings.Read(reader, runsEcm);
        HubOptions hub = HubSettings.Read(reader, runsHub);
        AdminOptions admin = new() { Listen = reader.Read(SettingKeys.AdminListen), Socket = ReadSocket(reader) };
        TimeSpan keepAlive = reader.Read(SettingKeys.KeepAlive);
        bool linksToOwnHub = runsEcm && runsHub && LinksToHub(reader, ecm, hub);

        // A hub in the same process wants the secret that it was given; to write it twice would only allow two.
        string? ecmSecret = linksToOwnHub ? ecm.Link.Secret ?? hub.Link.Secret : ecm.Link.Secret;
        Settings settings = new()
        {
            Ecm = runsEcm ? ecm with { Link = ecm.Link with { Secret = ecmSecret, KeepAlive = keepAlive } } : null,
            Hub = runsHub
                ? hub with { Link = hub.Link with { KeepAlive = keepAlive }, ResumeTimeout = FitResumeTimeout(reader, hub.ResumeTimeout, keepAlive) }
                : null,
            Admin = hasAdmin ? admin : null,
            LinksToOwnHub = linksToOwnHub,
            MaxClientsGiven = reader.IsGiven(SettingKeys.MaxClients),
            MaxSessionsGiven = reader.IsGiven(SettingKeys.MaxSessions),
            StopTimeout = reader.Read(SettingKeys.StopTimeout),
            LogFormat = ReadLogFormat(reader),
            LogLevels = ReadLogLevels(reader),
            Values = reader.Describe(),
        };
        RefuseUnfitLink(reader, settings);
        ListenerOverlaps.Refuse(reader, settings);
        reader.RefuseStrays();
        return settings;
    }

    /// <summary>Section 7 of the link protocol: an ECM may find out only after twice the keep-alive that its link is cut, and must still be expected
    /// then.</summary>
    private static TimeSpan FitResumeTimeout(SettingsReader reader, TimeSpan timeout, TimeSpan keepAlive)
    {
        TimeSpan least = 4 * keepAlive;
        if (timeout == TimeSpan.Zero || timeout >= least) return timeout;
        if (reader.IsGiven(SettingKeys.ResumeTimeout))
        {
            reader.Refuse(
                SettingKeys.ResumeTimeout,
                $"must be 0 or at least four times {SettingKeys.KeepAlive.Path}, which is {DurationText.Of(keepAlive)}",
                DurationText.Of(least));
        }

        return least;
    }

    /// <summary>Port 0 in both places means one and the same port, whichever it will be.</summary>
    private static bool LinksToHub(SettingsReader reader, EcmOptions ecm, HubOptions hub) =>
        (!reader.IsGiven(SettingKeys.LinkTo) && reader.Items(SettingKeys.LinkTo.Path).Count == 0)
        || (ecm.Connect.To is [{ Port: 0 } only] && hub.Listen is IPEndPoint { Port: 0 }
            && SettingFormats.Listen.Read(only.ToString(), out IPEndPoint to) is null && to.Equals(hub.Listen));

    private static void RefuseUnfitLink(SettingsReader reader, Settings settings)
    {
        if (settings.Ecm is not { } ecm) return;
        foreach ((SettingKey<HostPort> key, HostPort to) in reader.ReadOneOrMore(SettingKeys.LinkTo, SettingKeys.LinkToEach))
        {
            if (settings.LinksToOwnHub || to.Port != 0 || to.IsUnix) continue;
            reader.Refuse(
                key,
                "must name a port from 1 to 65535; 0 only repeats a Hub:Listen in the same configuration",
                SettingKeys.LinkTo.Example);
        }

        if (ecm.Link.Secret is not null && !ecm.Connect.Control)
            reader.Refuse(SettingKeys.LinkControl, "must be true when there is a secret: it is sent in the hello", "true");

        if (!settings.LinksToOwnHub || (ecm.Connect.Tls is null) == (settings.Hub!.Tls is null)) return;
        (SettingKey missing, SettingKey there, string example) = settings.Hub.Tls is null
            ? (SettingKeys.HubTls, SettingKeys.LinkTls,
                $$"""{ "Certificate": "{{SettingKeys.HubTlsCertificate.Example}}", "Key": "{{SettingKeys.HubTlsKey.Example}}" }""")
            : (SettingKeys.LinkTls, SettingKeys.HubTls, $$"""{ "Ca": "{{SettingKeys.LinkTlsCa.Example}}" }""");
        reader.Refuse(missing, $"must be there when {there.Path} is: the link goes to the hub of this process", example);
    }

    private static string? ReadSocket(SettingsReader reader)
    {
        string? path = reader.Read(SettingKeys.AdminSocket);
        if (path is not null && Encoding.UTF8.GetByteCount(path) > LongestSocketPath)
            reader.Refuse(SettingKeys.AdminSocket, $"must not be longer than {LongestSocketPath} bytes: unix(7)", SettingKeys.AdminSocket.Example);
        return path;
    }

    private static LogFormat? ReadLogFormat(SettingsReader reader)
    {
        LogFormat format = reader.Read(SettingKeys.LogFormat);
        return reader.IsGiven(SettingKeys.LogFormat) ? format : null;
    }

    private static Dictionary<string, LogLevel> ReadLogLevels(SettingsReader reader)
    {
        // What the framework says of itself matters when something is wrong, not at every start.
        Dictionary<string, LogLevel> levels = new(StringComparer.OrdinalIgnoreCase)
        {
            ["Default"] = SettingKeys.DefaultLogLevel.Fallback,
            ["Microsoft"] = LogLevel.Warning,
        };
        foreach (string category in levels.Keys.Union(reader.Below("Logging:LogLevel"), StringComparer.OrdinalIgnoreCase).ToList())
        {
            SettingKey<LogLevel> key = SettingKeys.LogLevelOf.At(category);
            levels[category] = reader.Read(key, levels.GetValueOrDefault(category, key.Fallback));
        }

        return levels;
    }
}
