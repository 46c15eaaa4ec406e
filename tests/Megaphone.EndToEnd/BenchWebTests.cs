using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary><c>megaphone bench xmpp --web</c>, against an ECM whose hub answers as an echo.</summary>
public sealed class BenchWebTests : IDisposable
{
    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData("ws")]
    [InlineData("wss")]
    public async Task Clients_over_WebSocket_write_to_each_other_and_leave_in_order(string scheme)
    {
        _certificates.Issue("localhost", ["localhost"]);
        string[] tls = ["Ecm:Clients:0:Tls=direct", .. _certificates.Settings("localhost")];
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Framing=web", "Ecm:Clients:0:Web:Path=/xmpp", "Ecm:Clients:0:Web:Ping=1s", .. scheme == "wss" ? tls : []]);
        string[] check = ["--ca", _certificates.AuthorityFile, "--server-name", "localhost"];
        using ChildProcess bench = Start(
            both,
            [
                "--web", scheme, "--web-path", "/xmpp", "--sessions", "100", "--reactors", "2", "--hold", "2", "--messages", "200",
                "--message-rate", "1000", "--message-bytes", "20000", .. scheme == "wss" ? check : [],
            ]);

        Assert.Equal(0, await bench.EndAsync());
        Assert.Equal(200, Json(bench).GetProperty("messages_arrived").GetInt32());
        await both.HasClosedAsync(100, "ecm", "ended");
        await both.HasClientsAsync(0);
        Assert.Empty(both.Complaints());
    }

    [Fact]
    public async Task What_the_server_says_to_clients_that_get_no_WebSocket_is_reported()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Clients:0:Framing=web");
        using ChildProcess bench = Start(both, "--web", "ws", "--web-path", "/elsewhere", "--sessions", "10");

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(10, Json(bench).GetProperty("problems").GetProperty("no WebSocket, the server answers: HTTP/1.1 404 Not Found").GetInt32());
    }

    private static ChildProcess Start(MegaphoneProcess both, params string[] arguments) => ChildProcess.Start(
        [Repository.Binary, "bench", "xmpp", "--to", $"{both.Clients}", "--login", "none", .. arguments, "--json", "-"]);

    private static JsonElement Json(ChildProcess bench) => JsonDocument.Parse(string.Join('\n', bench.Output)).RootElement;
}
