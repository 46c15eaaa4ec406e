using System.Diagnostics;
using System.Net;

namespace Megaphone.EndToEnd;

/// <summary><c>megaphone check</c> asks the servers that are there what they make of a configuration, and disturbs none.</summary>
public sealed class CheckTests : IDisposable
{
    private const string Secret = "between you and me";

    private readonly TestCertificates _certificates = new();
    private readonly TestCertificates _strangers = new();

    public void Dispose()
    {
        _certificates.Dispose();
        _strangers.Dispose();
    }

    [Fact]
    public async Task Who_answers_is_reported_and_those_who_are_connected_notice_nothing()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Secret={Secret}", "Hub:Name=the hub");
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub, $"Ecm:Link:Secret={Secret}", "Ecm:Link:Name=edge");
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();

        string said = await CheckAsync(0, hub.Hub, $"Ecm:Link:Secret={Secret}", "Ecm:Link:Name=edge");

        Assert.Contains($"{hub.Hub}: the hub welcomes a link; packets up to 1M; a sign of life every 15s; sessions outlive a cut of 90s", said);
        await hub.HasLinksAsync(1, "hub");
        await client.AssertEchoesAsync();
        Assert.Equal(1, hub.LogLines("edge (megaphone check)"));
        Assert.Equal(1, hub.LogLines("closed by the other side: megaphone check is done"));
        Assert.Empty(hub.Complaints().Concat(ecm.Complaints()));
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_sessions_opened_total", "role=ecm"]);
    }

    [Fact]
    public async Task A_refused_secret_fails_and_the_fix_names_the_key()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Secret={Secret}");

        string none = await CheckAsync(1, hub.Hub);
        Assert.Contains("FAIL  Ecm:Link:To", none);
        Assert.Contains($"{hub.Hub}: refused by the other side: the secret is missing or wrong", none);
        Assert.Contains("as Ecm:Link:Secret, or into the file of Ecm:Link:SecretFile", none);

        string wrong = await CheckAsync(1, hub.Hub, "Ecm:Link:Secret=another one, long");
        Assert.Contains("fix: Ecm:Link:Secret must be the secret there (Hub:Secret at a hub", wrong);
        Assert.DoesNotContain("another one, long", wrong);
    }

    [Fact]
    public async Task Certificates_are_judged_at_both_ends_with_a_fix_for_each_problem()
    {
        _certificates.Issue("hub", ["localhost"], days: 5.5);
        _certificates.Issue("edge", []);
        _strangers.Issue("edge", []);
        (string certificate, string key) = _certificates.Files("hub");
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(
            $"Hub:Tls:Certificate={certificate}", $"Hub:Tls:Key={key}", $"Hub:Tls:ClientCa={_certificates.AuthorityFile}");
        string[] trusting = [$"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}", "Ecm:Link:Tls:Name=localhost"];

        string right = await CheckAsync(0, hub.Hub, [.. trusting, .. Own(_certificates)]);
        Assert.Contains("welcomes a link over TLS 1.3", right);
        Assert.Contains($"{hub.Hub}: its certificate is valid for 5 more days", right);

        string plain = await CheckAsync(1, hub.Hub);
        Assert.Contains("links require TLS here: set Ecm:Link:Tls", plain);
        Assert.Contains("""fix: "Tls": { "Ca": "/etc/megaphone/links-ca.pem" } in Ecm:Link""", plain);

        string nameless = await CheckAsync(1, hub.Hub, [.. trusting[..1], .. Own(_certificates)]);
        Assert.Contains("not accepted: the certificate CN=hub is for localhost, not for 127.0.0.1 (Ecm:Link:Tls:Name)", nameless);
        Assert.Contains("or write as Ecm:Link:Tls:Name what this one is for", nameless);

        string[] doubts = [$"Ecm:Link:Tls:Ca={_strangers.AuthorityFile}", "Ecm:Link:Tls:Name=localhost"];
        string doubting = await CheckAsync(1, hub.Hub, [.. doubts, .. Own(_certificates)]);
        Assert.Contains("which does not come from an authority in Ecm:Link:Tls:Ca", doubting);
        Assert.Contains($"into {_strangers.AuthorityFile} (Ecm:Link:Tls:Ca), if that is the right one", doubting);

        string strange = await CheckAsync(1, hub.Hub, [.. trusting, .. Own(_strangers)]);
        Assert.Contains("refused by the other side: the certificate CN=edge was issued by", strange);
        Assert.Contains($"the other end must trust {_strangers.Files("edge").Certificate} (Ecm:Link:Tls:Certificate)", strange);

        string unproven = await CheckAsync(1, hub.Hub, trusting);
        Assert.Contains("no certificate was shown: set Ecm:Link:Tls:Certificate", unproven);
        Assert.Contains("fix: Ecm:Link:Tls:Certificate and Ecm:Link:Tls:Key, from an authority that the other end trusts", unproven);
    }

    [Fact]
    public async Task TLS_at_one_end_alone_is_recognized()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();

        string said = await CheckAsync(1, hub.Hub, $"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}");

        Assert.Contains($"{hub.Hub}: the other end ended the connection in the middle of the TLS handshake", said);
        Assert.Contains("fix: TLS at the other end: Hub:Tls at a hub", said);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_a_warning_and_one_that_does_not_answer_takes_seconds()
    {
        using TestBackend silent = new(), another = new();
        IPEndPoint nobody;
        using (TestBackend gone = new()) nobody = gone.Address;
        long began = Stopwatch.GetTimestamp();

        // All are asked side by side.
        string said = await CheckAsync(
            1, silent.Address, $"Ecm:Link:To:0={silent.Address}", $"Ecm:Link:To:1={nobody}", $"Ecm:Link:To:2={another.Address}",
            "Ecm:Link:To:3=name.invalid:1");

        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(30));
        Assert.Contains("FAIL  Ecm:Link:To:0", said);
        Assert.Contains($"{silent.Address}: it accepts connections, and has not answered within 5 s", said);
        Assert.Contains("warn  Ecm:Link:To:1", said);
        Assert.Contains($"{nobody}: Connection refused", said);
        Assert.Contains($"{another.Address}: it accepts connections, and has not answered within 5 s", said);
        Assert.Contains("the name name.invalid does not resolve", said);
    }

    [Fact]
    public async Task What_is_no_end_of_a_link_is_recognized()
    {
        using TestBackend other = new();
        Task<string> checking = CheckAsync(1, other.Address);
        using TestConnection connection = await other.AcceptAsync();
        await connection.SendAsync("SSH-2.0-OpenSSH_9.2\r\n"u8.ToArray());
        string said = await checking;
        Assert.Contains($"{other.Address}: what it answers does not come from the end of a link: malformed packet header at offset 0", said);
        Assert.Contains("fix: write where links are listened for: Hub:Listen of a hub", said);
    }

    [Fact]
    public async Task A_service_that_runs_is_no_obstacle_to_its_own_configuration()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        (ChildProcess check, int status) = await MegaphoneProcess.RunAsync(
            ["check", .. MegaphoneProcess.Arguments([$"Hub:Listen={hub.Hub}", "Hub:MaxSessions=100", $"Admin:Listen={hub.Admin}"])]);
        using (check)
        {
            Assert.True(status == 0, check.Said);
            Assert.Contains($"{hub.Hub}: a Megaphone, process {hub.Process.Id}, listens there already", check.Said);
        }
    }

    [Fact]
    public async Task Backends_are_connected_to()
    {
        using TestBackend backend = new();
        IPEndPoint nobody;
        using (TestBackend gone = new()) nobody = gone.Address;
        (ChildProcess check, int status) = await MegaphoneProcess.RunAsync(
        [
            "check",
            .. MegaphoneProcess.Arguments(
            [
                "Hub:Listen=127.0.0.1:0", "Hub:MaxSessions=100", "Admin:Listen=127.0.0.1:0", $"Hub:Backend:0=tcp://{backend.Address}",
                $"Hub:Backend:1=tcp://{nobody}",
            ]),
        ]);
        using (check)
        {
            Assert.True(status == 0, check.Said);
            Assert.Contains($"{backend.Address} takes connections", check.Said);
            Assert.Matches($"warn  Hub:Backend:1 +{nobody}: Connection refused", check.Said);
        }
    }

    private static string[] Own(TestCertificates certificates)
    {
        (string certificate, string key) = certificates.Files("edge");
        return [$"Ecm:Link:Tls:Certificate={certificate}", $"Ecm:Link:Tls:Key={key}"];
    }

    private static async Task<string> CheckAsync(int expected, IPEndPoint to, params string[] settings)
    {
        string[] target = settings.Any(setting => setting.StartsWith("Ecm:Link:To", StringComparison.Ordinal)) ? [] : [$"Ecm:Link:To={to}"];
        (ChildProcess check, int status) = await MegaphoneProcess.RunAsync(
        [
            "check",
            .. MegaphoneProcess.Arguments(
                ["Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:MaxClients=100", "Admin:Listen=127.0.0.1:0", .. target, .. settings]),
        ]);
        using (check)
        {
            Assert.True(status == expected, check.Said);
            return check.Said;
        }
    }
}
