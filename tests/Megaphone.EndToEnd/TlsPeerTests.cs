namespace Megaphone.EndToEnd;

/// <summary>
/// TLS of others, as clients: each connects twice, the second time with the session of the first; checks the certificate; gets a megabyte
/// back as it has sent it; and ends in order. Those that can update keys do.
/// </summary>
/// <remarks>
/// Not among them is Chromium, whose BoringSSL speaks TLS only for HTTP: it names HTTP as its protocol, so its handshake is refused, as
/// <see cref="TlsTests"/> shows. Java and Go are large, and come only with <c>tests/tls/peers.sh</c>.
/// </remarks>
public sealed class TlsPeerTests(TlsPeerServer server) : IClassFixture<TlsPeerServer>
{
    private const string Direct = "direct", StartTls = "STARTTLS";

    private static readonly string[] OneOfEachVersion = ["TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"];
    private static readonly string[] Lines = MakeLines();

    /// <summary>
    /// Every suite, and one of each version after STARTTLS. With OpenSSL's records, which others have tested, one of each version.
    /// </summary>
    public static TheoryData<string, string, string> Suites
    {
        get
        {
            TheoryData<string, string, string> all = [];
            foreach (string layer in RecordLayers.Names)
            {
                IEnumerable<string> suites = layer == RecordLayers.Own ? TlsSuite.All.Select(suite => suite.Name) : OneOfEachVersion;
                foreach (string suite in suites) all.Add(layer, Direct, suite);
                foreach (string suite in OneOfEachVersion) all.Add(layer, StartTls, suite);
            }

            return all;
        }
    }

    public static TheoryData<string, string> Versions => RecordLayers.With(OneOfEachVersion);

    /// <summary>The same for the programs; those that cannot choose a suite of TLS 1.3 have one row for all of them.</summary>
    public static TheoryData<string, string, string, string> Programs
    {
        get
        {
            TheoryData<string, string, string, string> all = [];
            foreach (string program in TlsProgram.Names)
            {
                foreach (object[] row in Suites)
                {
                    TlsSuite suite = TlsSuite.Of((string)row[2]);
                    bool isAny = suite.IsTls13 && !TlsProgram.Of(program).ChoosesTls13;
                    if (!isAny || suite == TlsSuite.All[0]) all.Add((string)row[0], (string)row[1], suite.Name, program);
                }
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Suites))]
    public async Task OpenSSL_echoes_resumes_updates_keys_and_ends(string layer, string how, string suiteName)
    {
        TlsSuite suite = TlsSuite.Of(suiteName);
        MegaphoneProcess both = await server.StartedAsync(layer);
        Expectation expected = await Expectation.BeginAsync(both, full: 1, resumed: 1, ended: 2);
        string host = HostOf(suite), session = server.FileFor("openssl-session");
        string[] command =
        [
            "openssl", "s_client", "-connect", $"{both.ClientListeners[how == Direct ? 0 : 1]}", "-servername", host, "-brief",
            "-CAfile", server.AuthorityFile, "-verify_return_error", "-verify_hostname", host,
            .. suite.IsTls13 ? (string[])["-tls1_3", "-ciphersuites", suite.Name] : ["-tls1_2", "-cipher", suite.Name],
            .. how == Direct ? (string[])["-alpn", "xmpp-client"] : ["-starttls", "xmpp", "-name", host],
        ];
        using (ChildProcess first = ChildProcess.Start([.. command, "-nocommands", "-sess_out", session]))
        {
            await AssertEchoesAsync(first);
            Assert.Contains("Verification: OK", first.Errors);
            Assert.Contains($"Ciphersuite: {suite.Name}", first.Errors);
            first.CloseInput();
            Assert.Equal(0, await first.EndAsync());
        }

        using ChildProcess again = ChildProcess.Start([.. command, "-sess_in", session]);
        await AssertAnswersAsync(again, "before");
        for (int updates = 1; updates <= (suite.IsTls13 ? 4 : 0); updates++)
        {
            // s_client's commands: K asks for an update of ours in return, k does not.
            await again.WriteLineAsync(updates % 2 == 0 ? "k" : "K");
            await BoundedWait.UntilAsync(() => again.Errors.Count(line => line == "KEYUPDATE") == updates, $"update {updates}");
            await AssertAnswersAsync(again, $"after {updates}");
        }

        await again.WriteLineAsync("Q");
        Assert.Equal(0, await again.EndAsync());
        await expected.IsMetAsync();
    }

    [Theory]
    [MemberData(nameof(Suites))]
    public async Task GnuTLS_echoes_resumes_updates_keys_and_ends(string layer, string how, string suiteName)
    {
        TlsSuite suite = TlsSuite.Of(suiteName);
        MegaphoneProcess both = await server.StartedAsync(layer);

        // The first time it says nothing behind the handshake, so there is no session.
        Expectation expected = await Expectation.BeginAsync(both, full: 1, resumed: 1, ended: 1);
        string keyExchange = suite.IsTls13 ? "" : suite.IsRsa ? ":-KX-ALL:+ECDHE-RSA" : ":-KX-ALL:+ECDHE-ECDSA";
        string log = server.FileFor("gnutls-log");
        using ChildProcess client = ChildProcess.Start(
        [
            "gnutls-cli", "--resume", "--inline-commands", $"--x509cafile={server.AuthorityFile}", $"--logfile={log}",
            $"--priority=NORMAL:-VERS-ALL:+VERS-TLS{suite.Version}:-CIPHER-ALL:+{suite.GnuTls}{keyExchange}",
            $"--sni-hostname={HostOf(suite)}", $"--verify-hostname={HostOf(suite)}", $"--port={both.ClientListeners[how == Direct ? 0 : 1].Port}",
            .. how == Direct ? (string[])["--alpn=xmpp-client"] : ["--starttls-proto=xmpp"],
            .. suite.IsTls13 ? (string[])["--waitresumption"] : [],
            // Without TLS it tells the server's name from this one.
            how == Direct ? "127.0.0.1" : "localhost",
        ]);
        await AssertAnswersAsync(client, "before");

        // Its commands: of both ends, and of its own.
        for (int updates = 1; updates <= (suite.IsTls13 ? 4 : 0); updates++)
        {
            await client.WriteLineAsync(updates % 2 == 0 ? "^rekey1^" : "^rekey^");
            await AssertAnswersAsync(client, $"after {updates}");
        }

        await AssertEchoesAsync(client);
        client.CloseInput();
        Assert.Equal(0, await client.EndAsync());
        string said = await File.ReadAllTextAsync(log);
        Assert.Contains("The certificate is trusted", said, StringComparison.Ordinal);
        Assert.Contains("This is a resumed session", said, StringComparison.Ordinal);
        Assert.Equal(suite.IsTls13 ? 5 : 1, said.Split("Rekey was completed").Length);
        Assert.EndsWith("Peer has closed the GnuTLS connection\n", said, StringComparison.Ordinal);
        await expected.IsMetAsync();
    }

    [Theory]
    [MemberData(nameof(Suites))]
    public Task NSS_echoes_and_the_server_ends(string layer, string how, string suiteName)
    {
        TlsSuite suite = TlsSuite.Of(suiteName);
        return PlayNssAsync(layer, how, suite, connections: 1, "-c", $":{suite.Number}");
    }

    /// <remarks>With the suite chosen, tstclnt crashes at the second connection.</remarks>
    [Theory]
    [MemberData(nameof(Versions))]
    public Task NSS_resumes(string layer, string suiteOfVersion) =>
        PlayNssAsync(layer, Direct, TlsSuite.Of(suiteOfVersion), connections: 2, "-u", "-L", "2");

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task A_program_echoes_resumes_and_ends(string layer, string how, string suiteName, string program)
    {
        TlsSuite suite = TlsSuite.Of(suiteName);
        MegaphoneProcess both = await server.StartedAsync(layer);
        Expectation expected = await Expectation.BeginAsync(both, full: 1, resumed: 1, ended: 2);
        using StartTlsRelay relay = new(both.ClientListeners[1]);
        TlsProgram peer = TlsProgram.Of(program);
        using ChildProcess client = ChildProcess.Start(
        [
            .. peer.Command, $"{(how == Direct ? both.Clients : relay.Address).Port}", server.AuthorityFile, HostOf(suite), suite.Version,
            peer.NameOf(suite),
        ]);

        Assert.True(await client.EndAsync() == 0, client.Said);
        string spoken = suite.IsTls13 && !peer.ChoosesTls13 ? "TLS_\\S+" : peer.NameOf(suite);
        Assert.Collection(
            client.Output,
            line => Assert.Matches($"^full TLSv{suite.Version} {spoken} echoed ended$", line),
            line => Assert.Matches($"^resumed TLSv{suite.Version} {spoken} echoed ended$", line));
        await expected.IsMetAsync();
    }

    private static string HostOf(TlsSuite suite) => suite.IsRsa ? TlsPeerServer.RsaHost : TlsPeerServer.Host;

    private static async Task AssertAnswersAsync(ChildProcess client, string line)
    {
        await client.WriteLineAsync(line);
        await client.LineAsync(line);
    }

    /// <summary>Everything is sent and comes back, behind what has come before.</summary>
    private static async Task AssertEchoesAsync(ChildProcess client)
    {
        int before = client.Output.Count;
        Task sending = Task.Run(() => client.WriteLineAsync(string.Join('\n', Lines)));
        await BoundedWait.UntilAsync(
            () => Task.FromResult(client.Output.Count >= before + Lines.Length || client.HasEnded), () => $"all lines from\n{client.Said}");
        await BoundedWait.WithinAsync(sending, "all to be sent");
        Assert.Equal(Lines, client.Output.Skip(before));
    }

    /// <summary>A megabyte in lines of odd lengths, of which none is a peer's command.</summary>
    private static string[] MakeLines()
    {
        List<string> lines = [];
        for (int bytes = 0; bytes < 1 << 20; bytes += lines[^1].Length + 1)
            lines.Add("." + string.Concat(Enumerable.Repeat($"<{lines.Count}/>", 1 + lines.Count * 7919 % 501)));
        return [.. lines];
    }

    private async Task PlayNssAsync(string layer, string how, TlsSuite suite, int connections, params string[] options)
    {
        using TestBackend backend = new();
        using MegaphoneProcess both = await server.StartAsync(layer, backend.Setting);
        using StartTlsRelay relay = new(both.ClientListeners[1]);
        await MakeNssDatabaseAsync();
        string request = server.FileFor("nss-request");
        await File.WriteAllLinesAsync(request, Lines);
        using ChildProcess client = ChildProcess.Start(
        [
            "tstclnt", "-d", $"sql:{server.FileFor("nss")}", "-h", "127.0.0.1", "-p", $"{(how == Direct ? both.Clients : relay.Address).Port}",
            "-a", HostOf(suite), "-V", $"tls{suite.Version}:tls{suite.Version}", "-A", request, .. options,
        ]);

        // Each time it sends the request, and waits for the other end's end.
        for (int connection = 0; connection < connections; connection++)
        {
            using TestConnection session = await backend.AcceptAsync();
            await session.SendAsync(await session.ReceiveAsync((int)new FileInfo(request).Length));
            session.EndSending();
            await session.ReceiveToEndAsync();
        }

        Assert.True(await client.EndAsync() == 0, client.Said);
        Assert.Equal(Enumerable.Repeat(Lines, connections).SelectMany(lines => lines), client.Output);
        Assert.Contains(client.Errors, line => line == $"{connections - 1} stateless resumes");
        await both.ReachesAsync(connections - 1, "megaphone_ecm_handshakes_total", "result=resumed");
        await both.HasClosedAsync(connections, "ecm", "ended");
    }

    private async Task MakeNssDatabaseAsync()
    {
        string folder = server.FileFor("nss");
        if (Directory.Exists(folder)) return;
        Directory.CreateDirectory(folder);
        foreach (string[] arguments in (string[][])[["-N", "--empty-password"], ["-A", "-n", "authority", "-t", "CT,,", "-i", server.AuthorityFile]])
        {
            using ChildProcess tool = ChildProcess.Start(["certutil", "-d", $"sql:{folder}", .. arguments]);
            Assert.True(await tool.EndAsync() == 0, tool.Said);
        }
    }

    /// <summary>So many handshakes, and sessions that have ended in order, more than before.</summary>
    private sealed record Expectation(MegaphoneProcess Process, long Full, long Resumed, long Ended)
    {
        public static async Task<Expectation> BeginAsync(MegaphoneProcess process, int full, int resumed, int ended)
        {
            MetricsSnapshot now = await process.MetricsAsync();
            return new Expectation(
                process,
                now["megaphone_ecm_handshakes_total", "result=full"] + full,
                now["megaphone_ecm_handshakes_total", "result=resumed"] + resumed,
                now["megaphone_sessions_closed_total", "role=ecm", "reason=ended"] + ended);
        }

        public async Task IsMetAsync()
        {
            await Process.ReachesAsync(Full, "megaphone_ecm_handshakes_total", "result=full");
            await Process.ReachesAsync(Resumed, "megaphone_ecm_handshakes_total", "result=resumed");
            await Process.ReachesAsync(Ended, "megaphone_sessions_closed_total", "role=ecm", "reason=ended");
            await Process.HasClientsAsync(0);
        }
    }
}
