using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>How the log is written: for people, for the journal of systemd, for programs.</summary>
public sealed class LogTests
{
    private const string Header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";

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

    [Fact]
    public async Task At_Debug_each_client_has_a_line_at_its_end_and_a_refused_stream_names_its_address()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            "Ecm:Clients:0:Framing=stanza", "Ecm:Limits:LoginTimeout=1s", "Logging:LogLevel:Megaphone.Ecm=Debug");
        using TestConnection ended = await TestConnection.ConnectAsync(both.Clients, from: IPAddress.Parse("127.0.0.7"));
        using TestConnection refused = await TestConnection.ConnectAsync(both.Clients);
        using TestConnection late = await TestConnection.ConnectAsync(both.Clients);
        using TestConnection reset = await TestConnection.ConnectAsync(both.Clients);
        await ended.SendAsync(Header);
        await ended.ReceiveAtMostAsync(1);
        await reset.SendAsync(Header);
        await reset.ReceiveAtMostAsync(1);
        await late.SendAsync("<");

        await refused.SendAsync("no XML");
        await LogsAsync(both, $@"The stream of client \d+ from {refused.Local} is refused: ");
        refused.EndSending();
        string gone = $@"at {both.Clients}, no TLS, has gone after \d+ s";
        await LogsAsync(both, $@"Client \d+ from {refused.Local} {gone}: stream_error; \d+ bytes in, \d+ bytes out");

        ended.EndSending();
        await LogsAsync(both, $@"Client \d+ from {ended.Local} {gone}: ended; \d{{3}} bytes in, ");

        // Of a connection that was reset the kernel tells no address any more.
        reset.Abort();
        await LogsAsync(both, $@"Client \d+ from {reset.Local} {gone}: socket_error; ");

        await late.ReceiveToEndAsync();
        late.EndSending();
        await LogsAsync(both, $@"Client \d+ from {late.Local} {gone}: login_timeout; \d+ bytes in, ");
    }

    [Fact]
    public async Task The_line_of_a_client_with_TLS_says_which()
    {
        using TestCertificates certificates = new();
        certificates.Issue("server", ["localhost"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Tls=direct", "Logging:LogLevel:Megaphone.Ecm=Debug", .. certificates.Settings("server")]);
        using (TlsClient client = await TlsClient.ConnectAsync(both.Clients, "localhost")) await client.AssertEchoesAsync();
        string gone = $@"at {both.Clients}, TLSv1\.3 \S+, has gone after \d+ s";
        await LogsAsync(both, $@"Client \d+ from .+ {gone}: \w+; \d{{3,}} bytes in, \d{{3,}} bytes out");
    }

    [Fact]
    public async Task At_Information_no_client_has_a_line()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        using (TestConnection client = await TestConnection.ConnectAsync(both.Clients)) await client.AssertEchoesAsync();
        await both.HasClientsAsync(0);
        await both.StopAsync();
        Assert.Equal(0, both.LogLines("Client "));
    }

    private static Task LogsAsync(MegaphoneProcess process, string pattern) =>
        BoundedWait.UntilAsync(() => process.Process.Output.Any(line => Regex.IsMatch(line, pattern)), $"a line {pattern}");
}
