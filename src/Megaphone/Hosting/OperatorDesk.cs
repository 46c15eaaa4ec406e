using System.Globalization;
using System.Net;
using Megaphone.Admin;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Operator;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>Asks the roles what operators ask, and passes on their orders.</summary>
/// <remarks>Nothing of it happens while the process stands still for a reload, or stops.</remarks>
/// <param name="settings">What is configured.</param>
/// <param name="service">The service.</param>
/// <param name="levels">What is logged.</param>
/// <param name="standstill">Held by whoever has the process stand still, and from when it stops.</param>
/// <param name="log">The log.</param>
internal sealed class OperatorDesk(Settings settings, MegaphoneService service, LogLevels levels, SemaphoreSlim standstill, ILogger log)
    : IOperatorDesk
{
    /// <summary>Longer than a reload takes.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public Task<ClientsReport> FindClientsAsync(IPNetwork? within, int most) => WhileServingAsync(() =>
    {
        IReadOnlyList<ClientFacts> clients = Clients().Find(within, most, out int count);
        return new ClientsReport(count, clients);
    });

    /// <inheritdoc/>
    public Task<Answer> KickAsync(ulong id) => WhileServingAsync(() =>
    {
        if (!Clients().TryKick(id)) throw new OrderException($"there is no client {id}; megaphone clients lists those that there are");
        ServiceLog.Kicked(log, $"client {id}", 1);
        return new Answer($"client {id} is ended");
    });

    /// <inheritdoc/>
    public Task<Answer> KickAsync(IPNetwork within) => WhileServingAsync(() =>
    {
        int clients = Clients().Kick(within);
        ServiceLog.Kicked(log, within.ToString(), clients);
        return new Answer($"{within}: {Ended(clients)}");
    });

    /// <inheritdoc/>
    public Task<Answer> DrainAsync(TimeSpan? over, string? server) => WhileServingAsync(() =>
    {
        TimeSpan time = over ?? settings.Ecm?.DrainOver ?? TimeSpan.Zero;
        if (server is null)
        {
            if (!service.Drain("megaphone drain", over)) throw new OrderException("it is draining or stopping already");
            return new Answer(settings.Ecm is null
                ? "draining: the hub asks for no new sessions"
                : $"draining: no new clients, and those who are there are ended within {DurationText.Of(time)}");
        }

        EcmRole ecm = service.Ecm ?? throw new OrderException("there is no ECM in this process, so no server that it could drain");
        if (ecm.Drain(server, over) is not { } clients)
        {
            string servers = string.Join(", ", settings.Ecm!.Connect.To);
            throw new OrderException($"there is no server \"{server}\" in Ecm:Link:To; there is {servers}");
        }

        return new Answer($"draining {server}: no new clients there, and its {Ended(clients)} within {DurationText.Of(time)}");
    });

    /// <inheritdoc/>
    public Task<Answer> UndrainAsync() => WhileServingAsync(() => new Answer(service.Undrain() switch
    {
        null => throw new OrderException("it is stopping"),
        0 => "new clients are served",
        { } links => $"new clients are served, but for {Counted(links, "link")} that cannot be resumed: "
            + "these take new sessions again when those that they have have ended",
    }));

    /// <inheritdoc/>
    public Answer SetLogLevel(string category, LogLevel level)
    {
        levels.Set(category, level);
        ServiceLog.LevelSet(log, category, level);
        return new Answer($"{category} is logged from {level} on, until the next reload");
    }

    /// <inheritdoc/>
    public ConfigurationReport ReadConfiguration()
    {
        IReadOnlyDictionary<string, LogLevel> changed = levels.Changed;
        IEnumerable<ConfiguredValue> levelsNow = changed.Select(one => new ConfiguredValue(
            SettingKeys.LogLevelOf.At(one.Key).Path, one.Value.ToString(), "megaphone loglevel"));
        IEnumerable<ConfiguredValue> values = settings.Values.Where(value => !changed.Keys.Any(category =>
            value.Key.Equals(SettingKeys.LogLevelOf.At(category).Path, StringComparison.OrdinalIgnoreCase))).Select(InForce);
        return new ConfigurationReport(settings.File, [.. values, .. levelsNow], service.Unchanged);
    }

    /// <summary>A default that depends on something, as it has come out.</summary>
    private ConfiguredValue InForce(ConfiguredValue value)
    {
        if (value.Origin != ConfiguredValue.Default) return value;
        string? inForce = value.Key == SettingKeys.Ecm.Path ? ValueFormats.Switch.Write(settings.Ecm is not null)
            : value.Key == SettingKeys.Hub.Path ? ValueFormats.Switch.Write(settings.Hub is not null)
            : value.Key == SettingKeys.AdminSocket.Path ? settings.Admin?.Socket ?? "none"
            : value.Key == SettingKeys.LinkTo.Path && settings.LinksToOwnHub ? "the hub of this process"
            : null;
        return inForce is null ? value : value with { Value = inForce };
    }

    private ClientDesk Clients() => service.Ecm?.Desk ?? throw new OrderException("there is no ECM in this process, so no clients");

    private async Task<T> WhileServingAsync<T>(Func<T> act)
    {
        if (!await standstill.WaitAsync(LongestWait)) throw new OrderException("it is stopping, or has been reloading for too long");
        try
        {
            return await Task.Run(act);
        }
        finally
        {
            standstill.Release();
        }
    }

    private static string Ended(int clients) => $"{Counted(clients, "client")} {(clients == 1 ? "is" : "are")} ended";

    private static string Counted(int count, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:N0} {what}{(count == 1 ? "" : "s")}");
}
