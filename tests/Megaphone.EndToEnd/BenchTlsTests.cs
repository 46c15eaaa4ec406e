using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary><c>megaphone bench</c> with TLS, against an ECM whose hub answers as an echo.</summary>
public sealed class BenchTlsTests : IDisposable
{
    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData("direct", "1.3")]
    [InlineData("direct", "1.2")]
    [InlineData("starttls", "1.3")]
    [InlineData("starttls", "1.2")]
    public async Task XMPP_clients_write_to_each_other_over_TLS_and_check_the_certificate(string tls, string version)
    {
        using MegaphoneProcess both = await StartAsync(tls);
        JsonElement result = await RunAsync(
            0, "xmpp", both, "--tls", tls, "--tls-version", version, "--ca", _certificates.AuthorityFile, "--server-name", "localhost",
            "--login", "none", "--sessions", "100", "--reactors", "2", "--messages", "200", "--message-rate", "1000");

        Assert.Equal(200, result.GetProperty("messages_arrived").GetInt32());
        await both.ReachesAsync(100, "megaphone_ecm_handshakes_total", "result=full");
        await both.HasClosedAsync(100, "ecm", "ended");
        Assert.Empty(both.Complaints());
    }

    [Theory]
    [InlineData("direct", "1.3")]
    [InlineData("direct", "1.2")]
    [InlineData("starttls", "1.3")]
    public async Task Echoes_longer_than_a_record_come_back_over_TLS(string tls, string version)
    {
        using MegaphoneProcess both = await StartAsync(tls);
        JsonElement result = await RunAsync(
            0, "echo", both, "--tls", tls, "--tls-version", version, "--ca", "none", "--server-name", "localhost",
            "--connections", "20", "--bytes", "40000", "--warmup", "0.1", "--seconds", "0.5");

        Assert.Equal(0, result.GetProperty("messages_missing").GetInt32());
        Assert.InRange(result.GetProperty("messages").GetInt32(), 20, int.MaxValue);
        await both.HasClosedAsync(20, "ecm", "ended");
    }

    [Theory]
    [InlineData("1.3", "aes128", "TLS_AES_128_GCM_SHA256")]
    [InlineData("1.3", "aes256", "TLS_AES_256_GCM_SHA384")]
    [InlineData("1.3", "chacha20", "TLS_CHACHA20_POLY1305_SHA256")]
    [InlineData("1.2", "aes128", "ECDHE-ECDSA-AES128-GCM-SHA256")]
    [InlineData("1.2", "aes256", "ECDHE-ECDSA-AES256-GCM-SHA384")]
    [InlineData("1.2", "chacha20", "ECDHE-ECDSA-CHACHA20-POLY1305")]
    public async Task The_cipher_is_the_one_that_was_asked_for(string version, string cipher, string suite)
    {
        using TestHub hub = new();
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, ["Ecm:Clients:0:Tls=direct", "Ecm:Proxy=v2", .. _certificates.Settings("localhost")]);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using ChildProcess bench = ChildProcess.Start(
        [
            .. Bench("connect", ecm), "--tls", "direct", "--ca", "none", "--server-name", "localhost", "--tls-version", version,
            "--tls-cipher", cipher, "--connections", "1", "--say", "1",
        ]);

        // The PROXY header names it.
        Assert.Contains(suite, (await link.ReceiveAsync()).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connections_are_not_established_when_the_certificate_is_for_another_host()
    {
        using MegaphoneProcess both = await StartAsync("direct");
        JsonElement result = await RunAsync(
            1, "connect", both, "--tls", "direct", "--ca", _certificates.AuthorityFile, "--connections", "5");

        Assert.Equal(0, result.GetProperty("connected").GetInt32());
        const string Reason = "the server's certificate is refused: it is not for 127.0.0.1; --server-name names another host";
        Assert.Equal(5, result.GetProperty("problems").GetProperty(Reason).GetInt32());
        await both.HasClientsAsync(0);
    }

    [Fact]
    public async Task The_systems_authorities_count_unless_others_are_named()
    {
        using MegaphoneProcess both = await StartAsync("starttls");
        JsonElement result = await RunAsync(1, "connect", both, "--tls", "starttls", "--server-name", "localhost", "--connections", "5");

        const string Reason = "the server's certificate is refused: self-signed certificate in certificate chain; --ca names other authorities";
        Assert.Equal(5, result.GetProperty("problems").GetProperty(Reason).GetInt32());
    }

    [Fact]
    public async Task A_host_that_the_server_does_not_know_is_a_problem()
    {
        using MegaphoneProcess both = await StartAsync("starttls");
        JsonElement result = await RunAsync(
            1, "connect", both, "--tls", "starttls", "--ca", "none", "--server-name", "other.example", "--connections", "5");

        Assert.Equal(5, result.GetProperty("problems").GetProperty("stream error before TLS: host-unknown").GetInt32());
    }

    [Theory]
    [InlineData("none", "direct", "a TLS handshake failed: unexpected message")]
    [InlineData("direct", "starttls", "the server ended a connection before TLS")]
    public async Task A_server_that_does_not_speak_TLS_like_that_is_a_problem(string server, string client, string problem)
    {
        using MegaphoneProcess both = await StartAsync(server);
        JsonElement result = await RunAsync(
            1, "connect", both, "--tls", client, "--ca", "none", "--server-name", "localhost", "--connections", "3", "--patience", "2");

        Assert.Equal(3, result.GetProperty("problems").GetProperty(problem).GetInt32());
    }

    [Fact]
    public async Task OpenSSL_is_not_taken_away_from_threads_that_are_ending_with_the_process()
    {
        using MegaphoneProcess both = await StartAsync("direct");
        using Preload slow = await Preload.CompileAsync("slow_exit");
        using ChildProcess bench = ChildProcess.Start(
            [
                Repository.Binary, "bench", "connect", "--to", $"{both.Clients}", "--tls", "direct", "--ca", "none",
                "--server-name", "localhost", "--connections", "3",
            ],
            environment: slow.Environment);
        Assert.True(await bench.EndAsync() == 0, bench.State);
    }

    [Fact]
    public async Task A_server_that_never_answers_a_handshake_is_given_up()
    {
        using TestBackend silent = new();
        using ChildProcess bench = ChildProcess.Start(
        [
            Repository.Binary, "bench", "connect", "--to", $"{silent.Address}", "--tls", "direct", "--connections", "3",
            "--patience", "0.5", "--json", "-",
        ]);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(3, Json(bench).GetProperty("problems").GetProperty("a connection was not established in time").GetInt32());
    }

    [Fact]
    public async Task Connections_with_TLS_are_split_over_processes()
    {
        using MegaphoneProcess both = await StartAsync("direct");
        using ChildProcess bench = ChildProcess.Start(
        [
            "prlimit", "--nofile=150", .. Bench("connect", both), "--tls", "direct", "--ca", _certificates.AuthorityFile,
            "--server-name", "localhost", "--connections", "200", "--say", "10", "--hear", "10",
        ]);

        Assert.Equal(0, await bench.EndAsync());
        Assert.Equal(200, Json(bench).GetProperty("connected").GetInt32());
        Assert.Equal(2000, Json(bench).GetProperty("bytes_in").GetInt32());
        await both.HasClosedAsync(200, "ecm", "ended");
    }

    [Fact]
    public async Task Authorities_that_cannot_be_read_end_the_run_before_it_begins()
    {
        using ChildProcess bench = ChildProcess.Start(
            [Repository.Binary, "bench", "echo", "--to", "127.0.0.1:1", "--tls", "direct", "--ca", "/nowhere/ca.pem"]);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(["megaphone bench: no authorities can be read from /nowhere/ca.pem: there is no such file"], bench.Errors);
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public async Task An_idle_client_takes_hundreds_of_bytes_and_not_kilobytes(string version)
    {
        // OpenSSL's session would be 14 KB. What handshakes leave in the heaps differs from run to run by more than a client takes, to either side.
        const int Few = 2_000, Many = 6_000;
        using MegaphoneProcess both = await StartAsync("direct");
        long few = await IdleAsync(both, version, Few);
        long many = await IdleAsync(both, version, Many);

        Assert.InRange((many - few) / (Many - Few), -2_000, 2_000);
    }

    /// <summary>The memory of a run while it holds so many idle clients.</summary>
    private static async Task<long> IdleAsync(MegaphoneProcess both, string version, int connections)
    {
        JsonElement result = await RunAsync(
            0, "connect", both, "--tls", "direct", "--tls-version", version, "--ca", "none", "--server-name", "localhost",
            "--connections", $"{connections}", "--hold", "1");
        JsonElement held = result.GetProperty("phases").EnumerateArray().Single(phase => phase.GetProperty("phase").GetString() == "after hold");
        Assert.Equal(connections, held.GetProperty("clients").GetInt32());
        return held.GetProperty("bench").GetProperty("memory_bytes").GetInt64();
    }

    private static IEnumerable<string> Bench(string mode, MegaphoneProcess both) =>
        [Repository.Binary, "bench", mode, "--to", $"{both.Clients}", "--json", "-"];

    /// <summary>Runs it to its end.</summary>
    private static async Task<JsonElement> RunAsync(int status, string mode, MegaphoneProcess both, params string[] arguments)
    {
        using ChildProcess bench = ChildProcess.Start([.. Bench(mode, both), .. arguments]);
        int ended = await bench.EndAsync();
        Assert.True(ended == status, $"It ended with {ended}:\n{string.Join('\n', bench.Output.Concat(bench.Errors))}");
        return Json(bench);
    }

    private static JsonElement Json(ChildProcess bench) => JsonDocument.Parse(string.Join('\n', bench.Output)).RootElement;

    private async Task<MegaphoneProcess> StartAsync(string tls)
    {
        if (tls == "none") return await MegaphoneProcess.BothAsync();
        _certificates.Issue("localhost", ["localhost"]);

        // Who says nothing has not logged in, and on a busy machine others take a while to connect.
        return await MegaphoneProcess.BothAsync(
            [$"Ecm:Clients:0:Tls={tls}", "Ecm:Limits:LoginTimeout=10m", .. _certificates.Settings("localhost")]);
    }
}
