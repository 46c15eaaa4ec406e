using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>Links over TLS into the module.</summary>
public sealed class ModuleLinkTlsTests(ModuleServer server) : IClassFixture<ModuleServer>, IAsyncLifetime, IDisposable
{
    private readonly TestCertificates _certificates = new();
    private readonly TestCertificates _strangers = new();

    // Nothing that is only for who made it: the user ejabberd has to reach it.
    private readonly string _folder =
        Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"megaphone-module-tls-{Guid.NewGuid():N}")).FullName;
    private IPEndPoint _listener = null!;
    private Func<Task> _remove = null!;
    private int _complaints;
    private long _failed;

    private string Certfile => Path.Combine(_folder, "server.pem");

    public async Task InitializeAsync()
    {
        IssueServer();
        string authority = Path.Combine(_folder, "ecms.pem");
        File.Copy(_certificates.AuthorityFile, authority);
        (_listener, _remove) = await server.Ejabberd.AddListenerAsync(
            "module: ejabberd_megaphone", "tls: true", $"certfile: \"{Certfile}\"", $"cafile: \"{authority}\"", "max_stanza_size: 262144");
        await server.Ejabberd.ComesToAsync(
            "true",
            $"lists:any(fun({{{{Port, _, _}}, _, _, _}}) -> Port =:= {_listener.Port} end, supervisor:which_children(ejabberd_listener))");
        await server.Ejabberd.ForgetLogLimitsAsync();
        _complaints = Complaints().Count();
        _failed = await CounterAsync("tls_failed");
    }

    public Task DisposeAsync() => _remove();

    public void Dispose()
    {
        _certificates.Dispose();
        _strangers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Hundreds_of_sessions_use_a_link_and_end_with_it(SslProtocols version)
    {
        using X509Certificate2 ecm = Ecm(_certificates);
        using TlsTunnel tunnel = new(_listener, _certificates, ecm, version);
        using StanzaEcm link = await StanzaEcm.ConnectAsync(tunnel.Address);
        XmppClient[] clients = [.. Enumerable.Range(0, 300).Select(_ => link.Open().Client)];
        await Task.WhenAll(clients.Select(client => client.LogInAsync()));
        string padding = new('x', 20_000);

        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < clients.Length; i++)
            {
                string next = clients[(i + 1) % clients.Length].Address;
                await clients[i].SendMessageAsync(next, $"{round} from {i} {padding}");
            }

            for (int i = 0; i < clients.Length; i++) await clients[(i + 1) % clients.Length].ExpectAsync($"{round} from {i} {padding}<");
        }

        Assert.True(NewComplaints().Count == 0, string.Join(Environment.NewLine, NewComplaints()));
        tunnel.Dispose();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        await server.Ejabberd.ComesToAsync("[]", "maps:get(links, ejabberd_megaphone:info())");
    }

    [Fact]
    public async Task Users_with_slixmpp_log_in_over_it()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_listener, EcmSettings(withCertificate: true));
        await ecm.HasLinksAsync(1, "ecm");

        using ChildProcess chat = server.Ejabberd.Chat(ecm.Clients, "disabled", count: 1000);
        using JsonDocument verdict = JsonDocument.Parse(await chat.LineAsync("{"));
        Assert.True(verdict.RootElement.GetProperty("ok").GetBoolean(), chat.Said);
        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());

        Assert.Equal(1, ecm.LogLines("over TLS 1.3"));
        await ecm.HasClientsAsync(0);
        await ecm.StopAsync();
        await server.Ejabberd.ComesToAsync("[]", "maps:get(links, ejabberd_megaphone:info())");
        Assert.Empty(NewComplaints());
    }

    [Fact]
    public async Task An_ECM_without_a_certificate_has_no_link()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_listener, EcmSettings(withCertificate: false));

        await BoundedWait.UntilAsync(async () => await CounterAsync("tls_failed") > _failed, () => "a link that is refused");

        await ecm.HasLinksAsync(0, "ecm");
        await BoundedWait.UntilAsync(() => NewComplaints().Count > 0, "a line in the log");
        // OTP 25 says "Certificate required", OTP 29 "Certificate Required".
        Assert.Contains("certificate required", NewComplaints()[0], StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_missing_certificate_or_one_of_another_authority_is_refused(SslProtocols version)
    {
        using X509Certificate2 stranger = Ecm(_strangers);
        X509Certificate2?[] wrong = [null, stranger];
        for (int i = 0; i < wrong.Length; i++)
        {
            using TlsTunnel tunnel = new(_listener, _certificates, wrong[i], version);
            using LinkPeer link = await LinkPeer.PlainEcmAsync(tunnel.Address);
            await link.SendControlAsync(LinkPeer.Hello(framing: "stanza"));

            await link.AssertClosesAsync();
            await RefusedAsync(i + 1, "the TLS handshake failed");
        }
    }

    [Fact]
    public async Task Anything_but_TLS_ends_that_connection_with_one_log_line_and_affects_no_other()
    {
        using X509Certificate2 ecm = Ecm(_certificates);
        using TlsTunnel tunnel = new(_listener, _certificates, ecm);
        using StanzaEcm link = await StanzaEcm.ConnectAsync(tunnel.Address);
        XmppClient client = link.Open().Client;
        await client.LogInAsync();
        byte[][] garbage =
        [
            Packet.Format(0, LinkPeer.Hello(framing: "stanza")), "GET / HTTP/1.1\r\n\r\n"u8.ToArray(), Sample.Bytes(5000),
            [22, 3, 1, 0, 5, 1, 0, 0, 1, 0], [22, 3, 1, 0xFF, 0xFF, .. new byte[100]],
        ];
        for (int i = 0; i < garbage.Length; i++)
        {
            using LinkPeer peer = await LinkPeer.PlainEcmAsync(_listener);
            await peer.SendRawAsync(garbage[i]);
            await RefusedAsync(i + 1, "the TLS handshake failed");
            await client.SettleAsync();
        }
    }

    [Fact]
    public async Task TLS_on_a_plain_listener_is_logged()
    {
        long errors = await CounterAsync("protocol_errors");
        using TlsTunnel tunnel = new(server.Ejabberd.LinkListener, _certificates);
        using LinkPeer link = await LinkPeer.PlainEcmAsync(tunnel.Address);

        await link.AssertClosesAsync();

        Assert.Equal(errors + 1, await CounterAsync("protocol_errors"));
        await BoundedWait.UntilAsync(() => NewComplaints().Count > 0, "a line in the log");
        Assert.EndsWith("this is TLS, and the listener has no tls: true", Assert.Single(NewComplaints()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stalled_handshakes_affect_no_other_link_and_time_out()
    {
        using X509Certificate2 ecm = Ecm(_certificates);
        long processes = await server.Ejabberd.NumberAsync("length(processes())");
        List<LinkPeer> stalled = [];
        for (int i = 0; i < 100; i++)
        {
            stalled.Add(await LinkPeer.PlainEcmAsync(_listener));
            // Half a record, or nothing.
            if (i % 2 == 0) await stalled[i].SendRawAsync(new byte[] { 22, 3, 1, 1, 0, 1, 0 });
        }

        using TlsTunnel tunnel = new(_listener, _certificates, ecm);
        using (StanzaEcm link = await StanzaEcm.ConnectAsync(tunnel.Address))
        {
            XmppClient client = link.Open().Client;
            await client.LogInAsync();
            Assert.Equal(_failed, await CounterAsync("tls_failed"));
            foreach (LinkPeer peer in stalled) await peer.AssertClosesAsync();
            await RefusedAsync(100, "no TLS handshake within 10 seconds");
            await client.SettleAsync();
        }

        stalled.ForEach(peer => peer.Dispose());
        await BoundedWait.UntilAsync(
            async () => await server.Ejabberd.NumberAsync("length(processes())") <= processes + 5, () => "the end of what they were kept by");
    }

    [Fact]
    public async Task New_files_are_used_for_new_links_and_bad_ones_are_logged()
    {
        using X509Certificate2 ecm = Ecm(_certificates);
        using TlsTunnel tunnel = new(_listener, _certificates, ecm);
        using StanzaEcm before = await StanzaEcm.ConnectAsync(tunnel.Address);
        XmppClient client = before.Open().Client;
        await client.LogInAsync();
        string? serial = tunnel.Serial;

        string renewed = IssueServer();
        using (await StanzaEcm.ConnectAsync(tunnel.Address)) Assert.Equal(renewed, tunnel.Serial);
        Assert.NotEqual(serial, renewed);

        await File.WriteAllTextAsync(Certfile, "garbage");
        using (LinkPeer refused = await LinkPeer.PlainEcmAsync(tunnel.Address)) await refused.AssertClosesAsync();
        await RefusedAsync(1, $"{Certfile} has no certificate in it");

        string mended = IssueServer();
        using (await StanzaEcm.ConnectAsync(tunnel.Address)) Assert.Equal(mended, tunnel.Serial);
        await client.SettleAsync();
    }

    /// <summary>That many more have been refused than when the test began, the first few of an interval with one line each.</summary>
    private async Task RefusedAsync(int count, string why)
    {
        int told = Math.Min(count, 5);
        await server.Ejabberd.ComesToAsync($"{_failed + count}", "proplists:get_value(tls_failed, maps:get(counters, ejabberd_megaphone:info()))");
        await BoundedWait.UntilAsync(() => NewComplaints().Count >= told, $"{told} lines in the log");
        Assert.True(
            NewComplaints().Count <= Math.Max(told, count / 4) && NewComplaints().Any(line => line.Contains($"is refused: {why}")),
            string.Join(Environment.NewLine, NewComplaints()));
    }

    private Task<long> CounterAsync(string name) =>
        server.Ejabberd.NumberAsync($"proplists:get_value({name}, maps:get(counters, ejabberd_megaphone:info()))");

    private IReadOnlyList<string> NewComplaints() => [.. Complaints().Skip(_complaints)];

    /// <summary>The module's, and crashes. ejabberd's own warnings of what it is configured with may come long after it has read that.</summary>
    private IEnumerable<string> Complaints() =>
        server.Ejabberd.Complaints.Where(line => line.Contains("@ejabberd_megaphone") || !line.Contains("[warning]"));

    /// <summary>Certificate, chain and key in one file.</summary>
    private string IssueServer()
    {
        string serial = _certificates.Issue("server", ["localhost"]);
        (string certificate, string key) = _certificates.Files("server");
        File.WriteAllText(Certfile, File.ReadAllText(certificate) + "\n" + File.ReadAllText(key));
        return serial;
    }

    private string[] EcmSettings(bool withCertificate)
    {
        _certificates.Issue("ecm", ["ecm.example"]);
        (string certificate, string key) = _certificates.Files("ecm");
        return
        [
            "Ecm:Clients:0:Framing=stanza", "Ecm:Proxy=v2", $"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}", "Ecm:Link:Tls:Name=localhost",
            .. withCertificate ? (string[])[$"Ecm:Link:Tls:Certificate={certificate}", $"Ecm:Link:Tls:Key={key}"] : [],
        ];
    }

    private static X509Certificate2 Ecm(TestCertificates certificates)
    {
        certificates.Issue("ecm", ["ecm.example"]);
        (string certificate, string key) = certificates.Files("ecm");
        return X509Certificate2.CreateFromPemFile(certificate, key);
    }
}
