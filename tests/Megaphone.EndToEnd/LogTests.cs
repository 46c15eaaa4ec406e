using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>How the log is written: for people, for the journal of systemd, for programs.</summary>
public sealed class LogTests
{
    [Fact]
    public async Task As_JSON_each_line_of_the_log_is_an_object()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Logging:Format=json");
        await hub.StopAsync();

        List<JsonElement> lines =
        [
            .. hub.Process.Output.Where(line => !line.StartsWith("megaphone ready", StringComparison.Ordinal))
                .Select(line => JsonDocument.Parse(line).RootElement),
        ];
        JsonElement starts = lines[0];
        Assert.Equal((1, "information"), (starts.GetProperty("event").GetInt32(), starts.GetProperty("level").GetString()));
        Assert.Equal(hub.Process.Id, starts.GetProperty("data").GetProperty("process").GetInt32());
        Assert.All(lines, line => Assert.StartsWith("Megaphone.", line.GetProperty("category").GetString()));
        Assert.Equal(4, lines[^1].GetProperty("event").GetInt32());
    }

    [Theory]
    [InlineData("")]
    [InlineData("--Logging:Format systemd")]
    public async Task In_the_journal_lines_have_priorities(string format)
    {
        // A process's output is the journal's if it is the socket that JOURNAL_STREAM names: systemd.exec(5).
        const string AsSystemd = """
            import os, socket, subprocess, sys
            here, there = socket.socketpair()
            status = os.fstat(there.fileno())
            environment = dict(os.environ, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
            stopped = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=there, stderr=there, env=environment)
            there.close()
            for line in here.makefile():
                print(line, end="", flush=True)
                if line.startswith("megaphone ready"): stopped.terminate()
            sys.exit(stopped.wait())
            """;
        string[] options = format.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        using ChildProcess service = ChildProcess.Start(
        [
            "python3", "-c", AsSystemd, Repository.Binary, "--Hub:Listen", "127.0.0.1:0", "--Admin", "false", .. options,
        ]);
        Assert.Equal(0, await service.EndAsync());
        Assert.Contains(service.Output, line => line.StartsWith("<6>Megaphone.Hosting.MegaphoneService[1] megaphone ", StringComparison.Ordinal));
        Assert.Contains(service.Output, line => line.StartsWith("megaphone ready hub=", StringComparison.Ordinal));

        using ChildProcess wrong = ChildProcess.Start(["python3", "-c", AsSystemd, Repository.Binary, "--Hub:MaxSession", "1"]);
        Assert.Equal(2, await wrong.EndAsync());
        Assert.StartsWith("<3>megaphone: Hub:MaxSession \"1\" from --Hub:MaxSession: is not a key", Assert.Single(wrong.Output));
    }

    [Fact]
    public async Task Elsewhere_they_have_none()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync(
            ["Hub:Listen=127.0.0.1:0"], environment: new Dictionary<string, string?> { ["JOURNAL_STREAM"] = "8:1" });
        await hub.StopAsync();
        Assert.DoesNotContain(hub.Process.Output, line => line.StartsWith('<'));
        Assert.Contains(hub.Process.Output, line => line.Contains(" info: Megaphone.Hosting.MegaphoneService[1] ", StringComparison.Ordinal));
    }
}
