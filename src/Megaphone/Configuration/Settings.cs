using System.Net;
using Megaphone.Ecm;
using Megaphone.Hub;
using Megaphone.Operator;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Configuration;

/// <summary>Everything that was configured, checked.</summary>
internal sealed record Settings
{
    /// <summary>As many addresses is a name assumed to have.</summary>
    private const int AssumedAddresses = 8;

    /// <summary>The ECM role; null: it does not run.</summary>
    public EcmOptions? Ecm { get; init; }

    /// <summary>The hub role; null: it does not run.</summary>
    public HubOptions? Hub { get; init; }

    /// <summary>The admin endpoint; null: there is none.</summary>
    public AdminOptions? Admin { get; init; }

    /// <summary>
    /// Whether the ECM's links go to the hub of this process, wherever that really listens: both roles run, and
    /// <c>Ecm:Link:To</c> is not given or repeats a <c>Hub:Listen</c> whose port is 0.
    /// </summary>
    public bool LinksToOwnHub { get; init; }

    /// <summary>
    /// Whether <c>Ecm:MaxClients</c> was written by the operator. A number that was asked for and cannot be reached
    /// is a failure; a default that cannot be reached is worth a warning only.
    /// </summary>
    public bool MaxClientsGiven { get; init; }

    /// <summary>Whether <c>Hub:MaxSessions</c> was written by the operator.</summary>
    public bool MaxSessionsGiven { get; init; }

    /// <summary>How long the end may take once a signal has asked for it. 0 to 1 hour.</summary>
    public required TimeSpan StopTimeout { get; init; }

    /// <summary>How the log is written; null: as it suits where it goes.</summary>
    public LogFormat? LogFormat { get; init; }

    /// <summary>
    /// The least level that is logged, for each category or beginning of one; <c>Default</c> for the rest.
    /// </summary>
    public required IReadOnlyDictionary<string, LogLevel> LogLevels { get; init; }

    /// <summary>What is configured for each key, and where.</summary>
    public IReadOnlyList<ConfiguredValue> Values { get; init; } = [];

    /// <summary>The configuration file that was read; null: there was none.</summary>
    public string? File { get; init; }

    /// <summary>
    /// How many descriptors are kept back from clients: 64 for files and whatever comes up, and one for each link and each connection of
    /// the admin endpoint that there may be.
    /// </summary>
    public int ReservedDescriptors =>
        64 + (LinksToOwnHub ? Ecm!.Connect.Count : Ecm?.Connect.To.Sum(LinksTo) ?? 0)
        + (Hub?.MaxLinks ?? 0) + (Admin is null ? 0 : AdminOptions.MaxConnections);

    /// <summary>Every address that is listened on, with its key.</summary>
    public IReadOnlyList<(string Key, EndPoint Address)> Listeners =>
    [
        .. (Ecm?.Clients ?? []).Select((client, i) => ($"Ecm:Clients:{i}:Listen", client.Listen)),
        .. Hub is null ? Array.Empty<(string, EndPoint)>() : [("Hub:Listen", Hub.Listen)],
        .. Admin is null ? Array.Empty<(string, EndPoint)>() : [("Admin:Listen", Admin.Listen)],
    ];

    /// <summary>The ports among them.</summary>
    public IEnumerable<int> ListeningPorts => Listeners.Select(listener => listener.Address).OfType<IPEndPoint>().Select(address => address.Port);

    /// <summary>Everything outside this process that is connected to.</summary>
    public IReadOnlyList<Target> Targets =>
    [
        .. Ecm is null || LinksToOwnHub ? [] : Numbered("Ecm:Link:To", TargetKind.Link, Ecm.Connect.To),
        .. (Ecm?.Clients ?? []).SelectMany((client, i) => client.Web?.HttpTo is { } to
            ? [new Target($"Ecm:Clients:{i}:Web:HttpTo", TargetKind.Http, new HostPort($"{to.Address}", to.Port))]
            : Array.Empty<Target>()),
        .. Numbered("Hub:Backend", TargetKind.Backend, Hub?.Backends ?? []),
    ];

    /// <summary>The links that there may be to one target: how many addresses a name will have is not known here.</summary>
    private int LinksTo(HostPort target) => Ecm!.Connect.Count * (target.Known is null ? AssumedAddresses : 1);

    private static IEnumerable<Target> Numbered(string key, TargetKind kind, IReadOnlyList<HostPort> all) =>
        all.Select((one, i) => new Target(all.Count == 1 ? key : $"{key}:{i}", kind, one));
}
