using System.Net;
using Megaphone.Admin;
using Megaphone.Operator;
using Microsoft.Extensions.Logging;

namespace Megaphone.Tests.Admin;

/// <summary>Notes what it is asked, and follows every order, or none.</summary>
internal sealed class RecordingDesk : IOperatorDesk
{
    public List<string> Asked { get; } = [];

    /// <summary>Why orders are not followed; null: they are.</summary>
    public string? Refuses { get; set; }

    public Task<ClientsReport> FindClientsAsync(IPNetwork? within, int most)
    {
        Asked.Add($"clients {within?.ToString() ?? "any"} {most}");
        return Task.FromResult(new ClientsReport(0, []));
    }

    public Task<Answer> KickAsync(ulong id) => FollowAsync($"kick {id}");

    public Task<Answer> KickAsync(IPNetwork within) => FollowAsync($"kick {within}");

    public Task<Answer> DrainAsync(TimeSpan? over, string? server) =>
        FollowAsync($"drain {over?.ToString() ?? "as configured"} {server ?? "everything"}");

    public Task<Answer> UndrainAsync() => FollowAsync("undrain");

    public Answer SetLogLevel(string category, LogLevel level)
    {
        Asked.Add($"loglevel {category} {level}");
        return new Answer("done");
    }

    public ConfigurationReport ReadConfiguration()
    {
        Asked.Add("config");
        return new ConfigurationReport(null, [], []);
    }

    private Task<Answer> FollowAsync(string order)
    {
        if (Refuses is { } reason) throw new OrderException(reason);
        Asked.Add(order);
        return Task.FromResult(new Answer("done"));
    }
}
