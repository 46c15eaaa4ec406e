using System.Net;

namespace Megaphone.EndToEnd.Support;

/// <summary>The published binary at work: started with settings, known by its ready line, watched through its admin endpoint.</summary>
internal sealed class MegaphoneProcess : IDisposable
{
    private static readonly HttpClient Http =
        new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero }) { Timeout = BoundedWait.Limit };

    private readonly ChildProcess _process;

    private MegaphoneProcess(ChildProcess process, string ready)
    {
        _process = process;
        foreach (string part in ready.Split(' ').Where(part => part.Contains('=')))
        {
            string[] listeners = part[(part.IndexOf('=') + 1)..].Split(',');
            IPEndPoint[] addresses = [.. listeners.Where(listener => !listener.StartsWith("unix:")).Select(IPEndPoint.Parse)];
            if (part.StartsWith("ecm=", StringComparison.Ordinal)) ClientListeners = addresses;
            if (part.StartsWith("hub=", StringComparison.Ordinal)) Hub = addresses.FirstOrDefault(Hub);
            if (part.StartsWith("admin=", StringComparison.Ordinal)) Admin = addresses[0];
        }
    }

    /// <summary>Where clients connect to; the first, where there are many.</summary>
    public IPEndPoint Clients => ClientListeners[0];

    /// <summary>Where clients connect to, Unix sockets aside.</summary>
    public IReadOnlyList<IPEndPoint> ClientListeners { get; } = [];

    /// <summary>Where links connect to.</summary>
    public IPEndPoint Hub { get; } = new(IPAddress.None, 0);

    /// <summary>Where the admin endpoint is.</summary>
    public IPEndPoint Admin { get; } = new(IPAddress.None, 0);

    /// <summary>The process itself.</summary>
    public ChildProcess Process => _process;

    /// <summary>A hub alone, with <c>echo:</c> behind it unless the settings say otherwise.</summary>
    public static Task<MegaphoneProcess> HubAsync(params string[] settings) =>
        StartAsync(["Hub:Listen=127.0.0.1:0", .. settings]);

    /// <summary>An ECM alone, whose links go to <paramref name="to"/>.</summary>
    public static Task<MegaphoneProcess> EcmAsync(IPEndPoint to, params string[] settings) =>
        StartAsync(["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={to}", "Ecm:Link:RetryMax=00:00:00.5", .. settings]);

    /// <summary>ECM and hub in one process, with a link between them that is up.</summary>
    public static async Task<MegaphoneProcess> BothAsync(params string[] settings)
    {
        MegaphoneProcess both = await StartAsync(["Ecm:Clients:0:Listen=127.0.0.1:0", "Hub:Listen=127.0.0.1:0", .. settings]);
        await both.HasLinksAsync(1, "ecm");
        return both;
    }

    /// <summary>Starts it and waits for the ready line.</summary>
    /// <param name="settings"><c>KEY=VALUE</c> each.</param>
    /// <param name="launcher">A command that executes the binary, like <c>prlimit --nofile=64</c>.</param>
    /// <param name="environment">Environment variables more.</param>
    /// <param name="binary">Another copy of the binary.</param>
    public static async Task<MegaphoneProcess> StartAsync(
        IReadOnlyList<string> settings,
        IReadOnlyList<string>? launcher = null,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? binary = null)
    {
        string[] admin = settings.Any(setting => setting.StartsWith("Admin", StringComparison.Ordinal)) ? [] : ["Admin:Listen=127.0.0.1:0"];
        ChildProcess process = ChildProcess.Start(
            [.. launcher ?? [], binary ?? Repository.Binary, .. Arguments([.. settings, .. admin])], environment: environment);
        try
        {
            return new MegaphoneProcess(process, await process.LineAsync("megaphone ready"));
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    /// <summary>Runs the binary to its end.</summary>
    /// <returns>The ended process, and its exit status.</returns>
    public static async Task<(ChildProcess Process, int Status)> RunAsync(
        IReadOnlyList<string> arguments, string? folder = null, IReadOnlyDictionary<string, string?>? environment = null)
    {
        ChildProcess process = ChildProcess.Start([Repository.Binary, .. arguments], folder, environment);
        return (process, await process.EndAsync());
    }

    /// <summary><c>KEY=VALUE</c> as the command line wants it: <c>--KEY VALUE</c>.</summary>
    public static IEnumerable<string> Arguments(IEnumerable<string> settings) =>
        settings.SelectMany(setting => new[] { "--" + setting[..setting.IndexOf('=')], setting[(setting.IndexOf('=') + 1)..] });

    /// <summary>The current metrics.</summary>
    public async Task<MetricsSnapshot> MetricsAsync() => new(await Http.GetStringAsync(new Uri($"http://{Admin}/metrics")));

    /// <summary>The admin endpoint's answer to a GET.</summary>
    public async Task<(int Status, string Body)> GetAsync(string path)
    {
        using HttpResponseMessage answer = await Http.GetAsync(new Uri($"http://{Admin}{path}"));
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Waits until a metric has this value.</summary>
    public async Task ReachesAsync(long value, string name, params string[] labels)
    {
        MetricsSnapshot? last = null;
        await BoundedWait.UntilAsync(
            async () => (last = await MetricsAsync())[name, labels] == value,
            () => $"{name} {string.Join(' ', labels)} becomes {value}; it is {last?.Samples(name)}; the process said\n{_process.Said}");
    }

    /// <summary>Waits until a metric has at least this value.</summary>
    public async Task ReachesAtLeastAsync(long value, string name, params string[] labels)
    {
        long last = -1;
        await BoundedWait.UntilAsync(
            async () => (last = (await MetricsAsync())[name, labels]) >= value,
            () => $"{name} {string.Join(' ', labels)} is {last}, below {value}; the process said\n{_process.Said}");
    }

    /// <summary>Waits until a metric that is a time lies so many whole days ahead.</summary>
    public async Task IsDaysAheadAsync(long days, string name, params string[] labels)
    {
        long last = -1;
        await BoundedWait.UntilAsync(
            async () => (last = ((await MetricsAsync())[name, labels] - DateTimeOffset.UtcNow.ToUnixTimeSeconds()) / 86_400) == days,
            () => $"{name} {string.Join(' ', labels)} is {last} days ahead, not {days}; the process said\n{_process.Said}");
    }

    /// <summary>Waits until so many links are up.</summary>
    public Task HasLinksAsync(int links, string role) => ReachesAsync(links, "megaphone_links", $"role={role}");

    /// <summary>Waits until the hub has so many sessions.</summary>
    public Task HasSessionsAsync(int sessions) => ReachesAsync(sessions, "megaphone_hub_sessions");

    /// <summary>Waits until the ECM has so many clients.</summary>
    public Task HasClientsAsync(int clients) => ReachesAsync(clients, "megaphone_ecm_clients");

    /// <summary>Waits until a session count by reason has this value.</summary>
    public Task HasClosedAsync(int sessions, string role, string reason) =>
        ReachesAsync(sessions, "megaphone_sessions_closed_total", $"role={role}", $"reason={reason}");

    /// <summary>Orders a reload by SIGHUP, and waits for its end.</summary>
    /// <param name="done">How many have succeeded then; null: it is to be refused.</param>
    /// <param name="refused">How many have been refused then, if it is.</param>
    /// <param name="because">Part of the reason that the log gives.</param>
    public async Task ReloadAsync(int? done = null, int? refused = null, string because = "")
    {
        _process.Signal(Signals.HangUp);
        if (done is { } times)
        {
            await HasReloadedAsync(times);
            return;
        }

        await ComplainsAsync(refused!.Value, "Not reloaded");
        string reason = Complaints("Not reloaded")[^1];
        if (!reason.Contains(because, StringComparison.Ordinal)) throw new InvalidOperationException($"Refused, not for \"{because}\": {reason}");
        await ReachesAsync(refused.Value, "megaphone_reloads_total", "result=refused");
    }

    /// <summary>Waits until so many reloads have succeeded, by the log first: who asks for metrics in the middle of one gets no answer.</summary>
    public async Task HasReloadedAsync(int times)
    {
        await BoundedWait.UntilAsync(() => LogLines("Reloaded: ") == times || _process.HasEnded, $"reload {times}; {_process.Said}");
        if (LogLines("Reloaded: ") != times) throw new InvalidOperationException(_process.State);
        await ReachesAsync(times, "megaphone_reloads_total", "result=done");
    }

    /// <summary>Waits until no more descriptors are open than there were.</summary>
    public Task DescriptorsAreBackToAsync(int descriptors) => BoundedWait.UntilAsync(
        () => Task.FromResult(_process.Descriptors <= descriptors),
        () => $"descriptors back to {descriptors}, there are {_process.Descriptors}: {string.Join(' ', OpenFiles())}");

    /// <summary>
    /// How many descriptors it has open when nothing is going on: what the admin endpoint opens for the tests' own
    /// requests has come and gone.
    /// </summary>
    public async Task<int> IdleDescriptorsAsync()
    {
        await MetricsAsync();
        int lowest = int.MaxValue;
        for (int look = 0; look < 10; look++)
        {
            lowest = Math.Min(lowest, _process.Descriptors);
            await Task.Delay(20);
        }

        return lowest;
    }

    /// <summary>The lines of the log at warning level or above that contain the text.</summary>
    public List<string> Complaints(string text = "") =>
        [.. _process.Output.Where(line => (line.Contains(" warn: ") || line.Contains(" fail: ") || line.Contains(" crit: ")) && line.Contains(text))];

    /// <summary>Waits until the log has so many of these lines: what has been counted and seen may yet have to be logged.</summary>
    public Task ComplainsAsync(int lines, string text = "") =>
        BoundedWait.UntilAsync(() => Complaints(text).Count == lines, $"{lines} lines \"{text}\" in the log");

    /// <summary>Lines of the log that contain the text.</summary>
    public int LogLines(string text) => _process.Output.Count(line => line.Contains(text, StringComparison.OrdinalIgnoreCase));

    /// <summary>Ends it with SIGTERM, or throws when it did not end as asked.</summary>
    public async Task StopAsync()
    {
        _process.Signal(Signals.Terminate);
        if (await _process.EndAsync() is not 0 and int status) throw new InvalidOperationException($"It ended with {status}:\n{_process.Said}");
    }

    /// <summary>Ends it with SIGKILL, as a crash would.</summary>
    public async Task KillAsync()
    {
        _process.Signal(Signals.Kill);
        await _process.EndAsync();
    }

    /// <inheritdoc/>
    public void Dispose() => _process.Dispose();

    private IEnumerable<string?> OpenFiles() =>
        Directory.GetFileSystemEntries($"/proc/{_process.Id}/fd").Select(fd => new FileInfo(fd).LinkTarget);
}
