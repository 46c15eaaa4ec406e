using System.Globalization;
using System.Security.Authentication;

namespace Megaphone.EndToEnd;

/// <summary>
/// Logins that are bound to the client's TLS, which ends at the ECM (SCRAM-SHA-*-PLUS, XEP-0440, XEP-0474, and XEP-0484's tokens): from
/// ejabberd 24.12 on real clients see what they see on ejabberd's own TLS port. Before that they see what they see without.
/// </summary>
public sealed class ModuleBindingTests(ModuleBindingTests.Server server) : IClassFixture<ModuleBindingTests.Server>
{
    private const string BadBinding = "Invalid channel binding";

    /// <summary>The folder of the distribution whose ejabberd and clients are used, see <c>tests/ejabberd/with-root.sh</c>.</summary>
    private static readonly string? Root = Environment.GetEnvironmentVariable("EJABBERD_ROOT");

    /// <summary>What there is of clients, with each version of TLS. Those of a new ejabberd's distribution are new enough.</summary>
    public static TheoryData<string, SslProtocols> Clients()
    {
        TheoryData<string, SslProtocols> all = [];
        foreach (string client in Root is null ? (string[])["slixmpp"] : ["slixmpp", "go-sendxmpp", "nbxmpp", "xmppjs"])
        {
            all.Add(client, SslProtocols.Tls12);
            all.Add(client, SslProtocols.Tls13);
        }

        return all;
    }

    /// <summary>Those of them that can bind a login.</summary>
    public static TheoryData<string, SslProtocols> BindingClients() => Root is null
        ? new() { { "slixmpp", SslProtocols.Tls12 } }
        : new() { { "slixmpp", SslProtocols.Tls12 }, { "go-sendxmpp", SslProtocols.Tls12 }, { "go-sendxmpp", SslProtocols.Tls13 } };

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task A_client_sees_the_same_as_on_ejabberds_own_TLS_port(string client, SslProtocols version)
    {
        using MegaphoneProcess ecm = await server.EcmAsync(version, binds: true);
        using MegaphoneProcess? without = server.TakesBindings ? null : await server.EcmAsync(version, binds: false);

        // The second login may be with a token.
        string expected = await LogInAsync(client, without?.Clients.Port ?? await server.DirectAsync(version), logins: 2);
        string transcript = await LogInAsync(client, ecm.Clients.Port, logins: 2);

        Assert.Equal(expected, transcript);
        if (!server.TakesBindings)
        {
            Assert.DoesNotContain("-PLUS", transcript, StringComparison.Ordinal);
            return;
        }

        // With TLS 1.2 new ones of go-sendxmpp have no context for tls-exporter, but ejabberd has an empty one: wherever they come, they are refused.
        bool disagrees = version == SslProtocols.Tls12 && transcript.Contains("[p=tls-exporter,");
        Assert.True(transcript.EndsWith(disagrees ? "\nrefused" : "\nin", StringComparison.Ordinal), transcript);
        Assert.Contains("<mechanism>SCRAM-SHA-512-PLUS</mechanism>", transcript, StringComparison.Ordinal);
        Assert.Contains("<channel-binding type='tls-server-end-point'/>", transcript, StringComparison.Ordinal);
        if (client != "go-sendxmpp") return;
        Assert.Contains("mechanism='SCRAM-SHA-512-PLUS'>", transcript, StringComparison.Ordinal);
        if (!transcript.Contains("<request-token")) return;
        string token = version == SslProtocols.Tls12 ? "HT-SHA-256-UNIQ" : "HT-SHA-256-EXPR";
        Assert.Contains($"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{token}'>", transcript, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(BindingClients))]
    public async Task Somebody_in_the_middle_who_ends_TLS_and_begins_it_anew_is_refused(string client, SslProtocols version)
    {
        foreach (bool binds in (bool[])[true, false])
        {
            using MegaphoneProcess ecm = await server.EcmAsync(version, binds);
            string newest = version == SslProtocols.Tls12 ? "TLSv1.2" : "TLSv1.3";
            using FrontProxy middle = await FrontProxy.HaProxyAsync(
                ($"ssl crt {server.OtherCertificate} ssl-max-ver {newest}", "ssl verify none", ecm.Clients));

            string transcript = await LogInAsync(client, middle.Listeners[0].Port, address: $"{middle.Listeners[0].Address}");

            // The client trusts that certificate: without bindings nobody notices. slixmpp does without them when they were refused.
            bool isRefused = binds && server.TakesBindings;
            Assert.True(isRefused == transcript.Contains(BadBinding), transcript);
            Assert.EndsWith(isRefused && client != "slixmpp" ? "\nrefused" : "\nin", transcript, StringComparison.Ordinal);
        }
    }

    private async Task<string> LogInAsync(string client, int port, int logins = 1, string address = "127.0.0.1")
    {
        // Node.js is this machine's.
        string[] within = Root is null || client == "xmppjs" ? [] : ["chroot", Root];
        using ChildProcess program = ChildProcess.Start(
            [.. within, "/usr/bin/python3", Path.Combine(Repository.Root, "tests/clients/login.py"), client, $"{address}:{port}", Ejabberd.Password,
                server.Authorities, logins.ToString(CultureInfo.InvariantCulture)]);
        Assert.True(await program.EndAsync() == 0, program.Said);
        return string.Join('\n', program.Output);
    }

    /// <summary>An ejabberd with the module, all kinds of SCRAM, tokens if it has them, and a port with TLS.</summary>
    public sealed class Server : IAsyncLifetime, IDisposable
    {
        private const string AnyTls = "c2s_protocol_options: [no_sslv3]";
        private const string NoTls13 = "c2s_protocol_options: [no_tlsv1_3]";

        private readonly TestCertificates _certificates = new();
        private Ejabberd _ejabberd = null!;
        private int _direct;

        /// <summary>Whether it takes channel bindings from the module: from 24.12 on.</summary>
        public bool TakesBindings { get; private set; }

        /// <summary>A file with the authorities of ejabberd's certificate and of the ECM's.</summary>
        public string Authorities { get; private set; } = "";

        /// <summary>A file with another certificate of the ECM's authority for the same name, and its key.</summary>
        public string OtherCertificate { get; private set; } = "";

        public async Task InitializeAsync()
        {
            _ejabberd = await Ejabberd.StartWithModuleAsync();
            string version = await _ejabberd.EvaluateAsync("element(2, application:get_key(ejabberd, vsn))");
            int[] numbers = [.. version.Trim('"').Split('.', '-').Take(2).Select(int.Parse)];
            TakesBindings = numbers[0] > 24 || (numbers[0] == 24 && numbers[1] >= 12);

            // Of a password that is stored as it is there can be SCRAM of all kinds. A client that was refused by SCRAM is not to try PLAIN, which
            // is all that some old ones have.
            await _ejabberd.ReconfigureAsync(configuration => AnyTls + "\n" + (TakesBindings
                ? configuration
                    .Replace("auth_password_format: scram", "auth_password_format: plain")
                    .Replace("- digest-md5", "- digest-md5\n  - plain")
                    .Replace("modules:\n", "modules:\n  mod_auth_fast: {}\n")
                : configuration.Replace("auth_password_format: scram", "auth_password_format: plain")));
            await _ejabberd.ControlAsync("change_password", "juliet", "localhost", Ejabberd.Password);
            _direct = (await _ejabberd.AddListenerAsync("module: ejabberd_c2s", "tls: true", "shaper: none")).Address.Port;

            _certificates.Issue("localhost", ["localhost"]);
            _certificates.Issue("other", ["localhost"]);
            Authorities = _certificates.Files("both").Certificate;
            await File.WriteAllTextAsync(
                Authorities, await File.ReadAllTextAsync(_certificates.AuthorityFile) + "\n" + await File.ReadAllTextAsync(_ejabberd.Certificate));
            (string certificate, string key) = _certificates.Files("other");
            OtherCertificate = _certificates.Files("middle").Certificate;
            await File.WriteAllTextAsync(OtherCertificate, await File.ReadAllTextAsync(certificate) + "\n" + await File.ReadAllTextAsync(key));
        }

        public async Task DisposeAsync() => await _ejabberd.DisposeAsync();

        public void Dispose() => _certificates.Dispose();

        /// <summary>The port to which clients come without Megaphone; from now on it speaks no newer version of TLS than this.</summary>
        internal async Task<int> DirectAsync(SslProtocols version)
        {
            (string old, string wanted) = version == SslProtocols.Tls12 ? (AnyTls, NoTls13) : (NoTls13, AnyTls);
            await _ejabberd.ReconfigureAsync(configuration => configuration.Replace(old, wanted));
            return _direct;
        }

        /// <summary>An ECM that speaks no newer version of TLS than this.</summary>
        internal async Task<MegaphoneProcess> EcmAsync(SslProtocols version, bool binds)
        {
            string limits = _certificates.Files("limits").Certificate;
            await File.WriteAllTextAsync(
                limits, "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n[limits]\nMaxProtocol = TLSv1.2\n");
            MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
                ["Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:0:Tls=direct",
                    $"Ecm:Link:To={_ejabberd.LinkListener}", "Ecm:Proxy=v2", $"Ecm:Tls:ChannelBinding={(binds ? "true" : "false")}",
                    .. _certificates.Settings("localhost")],
                environment: new Dictionary<string, string?> { ["OPENSSL_CONF"] = version == SslProtocols.Tls12 ? limits : null });
            await ecm.HasLinksAsync(1, "ecm");
            return ecm;
        }
    }
}
