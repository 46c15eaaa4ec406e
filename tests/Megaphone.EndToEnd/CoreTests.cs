using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary><c>Service:Cores</c>: one core while that is enough, and all that there are when it is not.</summary>
public sealed partial class CoreTests
{
    private static readonly int[] All = Cores(File.ReadAllText("/proc/self/status"));
    private static readonly int AllCores = All.Length;

    [Fact]
    public async Task A_process_with_little_to_do_is_on_one_core_and_leaves_it_when_there_is_more_to_do()
    {
        if (AllCores == 1) return;
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        await IsOnOneCoreAsync(both);

        using ChildProcess busy = Talk(both, "--connections", "100");
        await both.ReachesAsync(AllCores, "megaphone_cores");
        await Patience.UntilAsync(() => CoresOf(both).All(cores => cores.Length == AllCores), "every thread is let go");
        busy.Signal(Signals.Terminate);
        await busy.EndAsync();

        await IsOnOneCoreAsync(both);
        await both.StopAsync();
        Assert.Empty(both.Complaints());
    }

    [Fact]
    public async Task A_hub_comes_to_the_core_from_which_its_ECM_sends_and_follows_it()
    {
        if (AllCores == 1) return;
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={hub.Hub}"], OnCores($"{All[0]}"));
        await ecm.HasLinksAsync(1, "ecm");

        using ChildProcess talk = Talk(ecm, "--connections", "10", "--rate", "100");
        await IsOnCoreAsync(hub, All[0]);
        using ChildProcess move = ChildProcess.Start(["taskset", "-a", "-p", "-c", $"{All[1]}", $"{ecm.Process.Id}"]);
        Assert.Equal(0, await move.EndAsync());
        await IsOnCoreAsync(hub, All[1]);
    }

    [Fact]
    public async Task A_core_that_strangers_fill_is_left()
    {
        if (AllCores == 1) return;
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        await IsOnOneCoreAsync(both);
        int core = CoresOf(both)[0][0];

        using ChildProcess talk = Talk(both, "--connections", "50", "--rate", "200");
        ChildProcess[] strangers = [.. Enumerable.Range(0, 4).Select(_ =>
            ChildProcess.Start([.. OnCores($"{core}"), "timeout", "60", "sh", "-c", "while :; do :; done"]))];
        try
        {
            await Patience.UntilAsync(() => CoresOf(both).All(cores => cores is [int only] && only != core), $"all have left core {core} for another");
        }
        finally
        {
            foreach (ChildProcess stranger in strangers) stranger.Dispose();
        }
    }

    [Fact]
    public async Task Where_all_cores_are_asked_for_they_are_left_to_the_system()
    {
        using MegaphoneProcess all = await MegaphoneProcess.BothAsync("Service:Cores=all");
        using MegaphoneProcess few = await MegaphoneProcess.BothAsync("Service:Cores=few");
        await IsOnOneCoreAsync(few);

        Assert.DoesNotContain("megaphone_cores", (await all.GetAsync("/metrics")).Body, StringComparison.Ordinal);
        Assert.All(CoresOf(all), cores => Assert.Equal(AllCores, cores.Length));
    }

    [Fact]
    public async Task Cores_that_the_process_was_not_given_are_not_taken()
    {
        // Two of them where there are more, so that it has a choice.
        int[] given = [.. All.TakeLast(Math.Clamp(AllCores - 1, 1, 2))];
        using MegaphoneProcess both = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", "Hub:Listen=127.0.0.1:0"], OnCores(string.Join(',', given)));
        await both.HasLinksAsync(1, "ecm");

        using ChildProcess busy = Talk(both, "--connections", "100");
        await both.ReachesAsync(given.Length, "megaphone_cores");
        Assert.All(CoresOf(both), cores => Assert.Subset(given.ToHashSet(), cores.ToHashSet()));
    }

    private static string[] OnCores(string list) => ["taskset", "-c", list];

    /// <summary>Has clients talk for longer than the test takes; they end with it.</summary>
    private static ChildProcess Talk(MegaphoneProcess ecm, params string[] how) =>
        ChildProcess.Start([Repository.Binary, "bench", "echo", "--to", $"{ecm.Clients}", "--seconds", "60", .. how]);

    private static async Task IsOnOneCoreAsync(MegaphoneProcess process)
    {
        await process.ReachesAsync(1, "megaphone_cores");
        await Patience.UntilAsync(
            () => CoresOf(process) is var threads && threads.All(cores => cores is [int only] && only == threads[0][0]), "every thread is on the one core");
    }

    private static Task IsOnCoreAsync(MegaphoneProcess process, int core) =>
        Patience.UntilAsync(() => CoresOf(process).All(cores => cores is [int only] && only == core), $"every thread is on core {core}");

    /// <summary>The cores that each thread may run on, as the kernel tells it.</summary>
    private static List<int[]> CoresOf(MegaphoneProcess process) =>
        [.. Directory.GetDirectories($"/proc/{process.Process.Id}/task").Select(StatusOf).OfType<string>().Select(Cores)];

    private static string? StatusOf(string thread)
    {
        try
        {
            return File.ReadAllText($"{thread}/status");
        }
        catch (IOException) when (!Directory.Exists(thread))
        {
            // It has ended.
            return null;
        }
    }

    private static int[] Cores(string status) =>
    [
        .. AllowedList().Match(status).Groups[1].Value.Split(',').SelectMany(part =>
        {
            int[] ends = [.. part.Split('-').Select(int.Parse)];
            return Enumerable.Range(ends[0], ends[^1] - ends[0] + 1);
        }),
    ];

    [GeneratedRegex(@"^Cpus_allowed_list:\s*(\S+)$", RegexOptions.Multiline)]
    private static partial Regex AllowedList();
}
