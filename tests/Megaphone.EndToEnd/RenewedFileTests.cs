using System.Runtime.Versioning;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>Secrets, keys and certificates in files that others write: systemd's credentials, and what certbot keeps.</summary>
[SupportedOSPlatform("linux")]
public sealed class RenewedFileTests : IDisposable
{
    private const UnixFileMode OwnerReads = UnixFileMode.UserRead;

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-files-").FullName;
    private readonly TestCertificates _certificates = new();

    public void Dispose()
    {
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>systemd leaves them as they are while the service runs, or puts others in their place before a reload (RefreshOnReload).</summary>
    [Fact]
    public async Task Credentials_of_systemd_are_read_at_the_start_and_by_a_reload()
    {
        string credentials = Path.Combine(_folder, "megaphone.service");
        string before = Credential(credentials, "the first secret");
        using MegaphoneProcess both = await MegaphoneProcess.StartAsync(
            [
                "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Tls=direct", $"Ecm:Tls:Certificates:0:Certificate={credentials}/example.org.pem",
                $"Ecm:Tls:Certificates:0:Key={credentials}/example.org.key", "Hub:Listen=127.0.0.1:0", $"Hub:SecretFile={credentials}/link-secret",
                $"Ecm:Link:SecretFile={credentials}/link-secret",
            ],
            environment: new Dictionary<string, string?> { ["CREDENTIALS_DIRECTORY"] = credentials });
        await both.HasLinksAsync(1, "ecm");
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        Assert.Equal(before, client.Serial);

        await both.ReloadAsync(done: 1);
        using (await LinkPeer.EcmAsync(both, "the first secret"))
        {
            // It is taken.
        }

        Directory.Move(credentials, credentials + ".old");
        string after = Credential(credentials, "the second secret");
        await both.ReloadAsync(done: 2);
        using (TlsClient next = await TlsClient.ConnectAsync(both.Clients))
        {
            Assert.Equal(after, next.Serial);
            await next.AssertEchoesAsync();
        }

        using (await LinkPeer.EcmAsync(both, "the second secret"))
        {
            // It is the one.
        }

        await client.AssertEchoesAsync();
    }

    /// <summary>The script of the manual's first hour, with another folder, and with this user's own group.</summary>
    [Fact]
    public async Task What_certbot_renews_is_used_by_way_of_the_manuals_script()
    {
        string live = Path.Combine(_folder, "live/example.org"), tls = Path.Combine(_folder, "tls"), hook = Path.Combine(_folder, "hook");
        string manual = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/operating.md"));
        string recipe = Regex.Match(manual, "\n    #!/bin/sh\n(    (?!END\n).*\n)+").Value.Replace("\n    ", "\n", StringComparison.Ordinal);
        Assert.Contains("-g megaphone ", recipe, StringComparison.Ordinal);
        await File.WriteAllTextAsync(hook, recipe.TrimStart()
            .Replace("/etc/megaphone/tls", tls, StringComparison.Ordinal).Replace("-g megaphone ", "", StringComparison.Ordinal));
        File.SetUnixFileMode(hook, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Directory.CreateDirectory(tls);
        string before = Renew(live, 1);
        await RunHookAsync();
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            "Ecm:Clients:0:Tls=direct", $"Ecm:Tls:Certificates:0:Certificate={tls}/example.org.pem",
            $"Ecm:Tls:Certificates:0:Key={tls}/example.org.key");
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        Assert.Equal(before, client.Serial);

        string after = Renew(live, 2);
        await RunHookAsync();
        await both.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=ok");
        using TlsClient next = await TlsClient.ConnectAsync(both.Clients);
        Assert.Equal(after, next.Serial);
        await next.AssertEchoesAsync();
        await client.AssertEchoesAsync();
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(Path.Combine(tls, "example.org.key")));

        async Task RunHookAsync()
        {
            using ChildProcess run = ChildProcess.Start(
                [hook],
                environment: new Dictionary<string, string?> { ["RENEWED_LINEAGE"] = live, ["RENEWED_DOMAINS"] = "example.org localhost" });
            Assert.True(await run.EndAsync() == 0, run.Said);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Certbots_links_that_lead_to_other_files_are_new_certificates(bool bySignal)
    {
        string live = Path.Combine(_folder, "live/example.org");
        string before = Renew(live, 1);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            "Ecm:Clients:0:Tls=direct", $"Ecm:Tls:Certificates:0:Certificate={live}/fullchain.pem", $"Ecm:Tls:Certificates:0:Key={live}/privkey.pem");
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        Assert.Equal(before, client.Serial);

        string after = Renew(live, 2);
        if (bySignal) await both.ReloadAsync(done: 1);
        else await both.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=ok");
        using TlsClient next = await TlsClient.ConnectAsync(both.Clients);
        Assert.Equal(after, next.Serial);
        await client.AssertEchoesAsync();
    }

    /// <summary>A folder of credentials: nobody may write to it, and only its user may read it.</summary>
    private string Credential(string folder, string secret)
    {
        Directory.CreateDirectory(folder);
        string serial = _certificates.Issue("localhost", ["localhost"]);
        (string certificate, string key) = _certificates.Files("localhost");
        File.Copy(certificate, Path.Combine(folder, "example.org.pem"));
        File.Copy(key, Path.Combine(folder, "example.org.key"));
        File.WriteAllText(Path.Combine(folder, "link-secret"), secret);
        foreach (string file in Directory.GetFiles(folder)) File.SetUnixFileMode(file, OwnerReads);
        return serial;
    }

    /// <summary>What certbot does: new files in <c>archive</c>, to which the links in <c>live</c> are moved.</summary>
    private string Renew(string live, int number)
    {
        string archive = live.Replace("/live/", "/archive/", StringComparison.Ordinal);
        Directory.CreateDirectory(live);
        Directory.CreateDirectory(archive);
        string serial = _certificates.Issue("localhost", ["localhost"]);
        (string certificate, string key) = _certificates.Files("localhost");
        foreach ((string from, string name) in ((string, string)[])[(certificate, "fullchain"), (key, "privkey")])
        {
            File.Copy(from, $"{archive}/{name}{number}.pem");
            File.Delete($"{live}/{name}.pem");
            File.CreateSymbolicLink($"{live}/{name}.pem", $"../../archive/example.org/{name}{number}.pem");
        }

        File.SetUnixFileMode($"{archive}/privkey{number}.pem", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return serial;
    }
}
