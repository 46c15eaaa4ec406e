namespace Megaphone.EndToEnd;

/// <summary>Signals do what the manual says, and never end the process without a log line.</summary>
public sealed class SignalTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Ignored_signals_are_logged_and_do_not_end_the_service()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        (int Number, string Name)[] signals =
        [
            (12, "SIGUSR2"), (14, "SIGALRM"), (16, "SIGSTKFLT"), (26, "SIGVTALRM"), (27, "SIGPROF"), (29, "SIGIO"), (30, "SIGPWR"),
        ];
        foreach ((int number, string name) in signals)
        {
            both.Process.Signal(number);
            await both.ComplainsAsync(1, $"{name} is ignored");
        }

        using TestConnection client = await TestConnection.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();
        await both.StopAsync();
    }

    [Fact]
    public async Task Repeated_signals_leave_few_log_lines()
    {
        using TestCertificates certificates = new();
        certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(["Ecm:Clients:0:Tls=direct", .. certificates.Settings("localhost")]);
        for (int i = 0; i < 300; i++)
        {
            both.Process.Signal(Signals.HangUp);
            both.Process.Signal(Signals.User2);
            await Task.Delay(5);
        }

        await both.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=ok");
        await BoundedWait.NeverAsync(() => both.LogLines("SIGUSR2") > 5 || both.LogLines("SIGHUP:") > 5, "each signal is logged");
        Assert.NotEqual(0, both.LogLines("SIGUSR2"));
        Assert.NotEqual(0, both.LogLines("SIGHUP:"));
        // One in a second, and a busy machine takes a while for 300 signals.
        Assert.InRange(both.LogLines("new certificate(s) in use"), 1, 30);
    }

    [Fact]
    public async Task SIGHUP_with_a_hub_logs_that_nothing_is_reloaded()
    {
        string file = Path.Combine(_folder, "megaphone.json");
        await File.WriteAllTextAsync(
            file,
            """{ "Ecm": { "Clients": [ { "Listen": "127.0.0.1:0" } ] }, "Hub": { "Listen": "127.0.0.1:0" },"""
            + """ "Admin": { "Listen": "127.0.0.1:0" } }""");
        using ChildProcess process = ChildProcess.Start([Repository.Binary, "--config", file], _folder);
        await process.LineAsync("megaphone ready");

        process.Signal(Signals.HangUp);
        await BoundedWait.UntilAsync(
            () => process.Output.Count(line => line.Contains("Not reloaded, all goes on as it was: the hub's sessions")) == 1, "a line about it");
        process.Signal(Signals.Terminate);
        Assert.Equal(0, await process.EndAsync());
    }

    [Fact]
    public async Task SIGQUIT_ends_it_as_SIGTERM_does()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        both.Process.Signal(Signals.Quit);

        Assert.Equal(0, await both.Process.EndAsync());
        Assert.Equal(1, both.LogLines("SIGQUIT: stopping"));
    }
}
