using System.Globalization;

namespace Megaphone.EndToEnd;

/// <summary>Signals do what the manual says, and never end the process without a log line.</summary>
public sealed class SignalTests
{
    /// <summary>Executes the rest of the command in a terminal of its own, whose keys are this one's input.</summary>
    private static readonly string[] InTerminal =
        ["/usr/bin/python3", "-c", "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"];

    [Fact]
    public async Task In_a_terminal_it_stays_there_when_it_reloads_and_ends_on_Ctrl_C()
    {
        using MegaphoneProcess both = await MegaphoneProcess.StartAsync(["Ecm:Clients:0:Listen=127.0.0.1:0", "Hub:Listen=127.0.0.1:0"], InTerminal);
        await both.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();
        string child = (await File.ReadAllTextAsync($"/proc/{both.Process.Id}/task/{both.Process.Id}/children")).Trim();

        Signals.Send(int.Parse(child, CultureInfo.InvariantCulture), Signals.HangUp);
        await BoundedWait.UntilAsync(
            () => both.Process.Output.Any(line => line.Contains("Reloaded: ", StringComparison.Ordinal)), "a reload");
        await client.AssertEchoesAsync();

        await both.Process.WriteLineAsync("\u0003");
        Assert.Equal(0, await both.Process.EndAsync());
        Assert.Contains(both.Process.Output, line => line.Contains("SIGINT: stopping", StringComparison.Ordinal));
    }

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

        // One reload in a second at most, and a busy machine takes a while for 300 signals. Each next image counts its lines from the beginning.
        await BoundedWait.UntilAsync(() => both.LogLines("Reloaded: ") > 0, "a reload");
        Assert.InRange(both.LogLines("SIGHUP: reloading"), 1, 30);
        Assert.InRange(both.LogLines("SIGUSR2"), 1, 5 * (both.LogLines("Reloaded: ") + 1));
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
