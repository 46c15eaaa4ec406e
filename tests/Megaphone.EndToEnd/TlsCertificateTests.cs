using System.Security.Authentication;

namespace Megaphone.EndToEnd;

/// <summary>Which certificate a client gets, and how certificates are reloaded.</summary>
public sealed class TlsCertificateTests : IDisposable
{
    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public async Task The_clients_SNI_selects_the_certificate_and_without_SNI_the_first_is_used()
    {
        string first = _certificates.Issue("first", ["first.example"]);
        string wildcard = _certificates.Issue("wildcard", ["*.example.org"]);
        string exact = _certificates.Issue("exact", ["chat.example.org", "example.org"]);
        using MegaphoneProcess both = await BothAsync("direct", "first", "wildcard", "exact");

        Assert.Equal(first, await SerialAsync(both, "first.example"));
        Assert.Equal(wildcard, await SerialAsync(both, "www.example.org"));
        Assert.Equal(exact, await SerialAsync(both, "chat.example.org"));
        Assert.Equal(exact, await SerialAsync(both, "EXAMPLE.org"));
        Assert.Equal(first, await SerialAsync(both, "127.0.0.1"));
    }

    [Fact]
    public async Task A_name_that_no_certificate_covers_gets_an_alert()
    {
        _certificates.Issue("wildcard", ["*.example.org"]);
        using MegaphoneProcess both = await BothAsync("direct", "wildcard");

        foreach (string name in (string[])["example.org", "a.b.example.org", "elsewhere.example"])
            await Assert.ThrowsAsync<AuthenticationException>(() => TlsClient.ConnectAsync(both.Clients, name));

        await both.ReachesAsync(3, "megaphone_ecm_handshakes_total", "result=failed");
    }

    [Fact]
    public async Task With_STARTTLS_the_streams_to_selects_the_certificate_unless_SNI_names_a_served_host()
    {
        _certificates.Issue("first", ["first.example"]);
        string second = _certificates.Issue("second", ["second.example"]);
        string third = _certificates.Issue("third", ["third.example"]);
        using MegaphoneProcess both = await BothAsync("starttls", "first", "second", "third");

        Assert.Equal(second, await StartTlsSerialAsync(both, to: "second.example", sni: "127.0.0.1"));
        Assert.Equal(second, await StartTlsSerialAsync(both, to: "second.example", sni: "elsewhere.example"));
        Assert.Equal(third, await StartTlsSerialAsync(both, to: "second.example", sni: "third.example"));
    }

    [Fact]
    public async Task A_host_may_have_keys_of_several_kinds()
    {
        string elliptic = _certificates.Issue("elliptic", ["example.org"]);
        string rsa = _certificates.Issue("rsa", ["example.org"], rsa: true);
        using MegaphoneProcess both = await BothAsync("direct", "elliptic", "rsa");

        (string Cipher, string Serial)[] kinds = [("ECDHE-ECDSA-AES128-GCM-SHA256", elliptic), ("ECDHE-RSA-AES128-GCM-SHA256", rsa)];
        foreach ((string cipher, string serial) in kinds)
        {
            using ChildProcess client = ChildProcess.Start(
            [
                "openssl", "s_client", "-connect", $"{both.Clients}", "-servername", "example.org", "-tls1_2", "-cipher", cipher,
                "-CAfile", _certificates.AuthorityFile,
            ]);
            await client.WriteLineAsync("ping");
            await client.LineAsync("ping");
            Assert.Contains("Verify return code: 0 (ok)", string.Join('\n', client.Output), StringComparison.Ordinal);
            using ChildProcess reader = ChildProcess.Start(["openssl", "x509", "-noout", "-serial"]);
            IEnumerable<string> certificate = client.Output.SkipWhile(line => !line.Contains("BEGIN CERT"))
                .TakeWhile(line => !line.StartsWith("---", StringComparison.Ordinal) || line.Contains("CERTIFICATE"));
            foreach (string line in certificate) await reader.WriteLineAsync(line);
            reader.CloseInput();
            Assert.Equal(0, await reader.EndAsync());
            Assert.Equal($"serial={serial}", reader.Output.Single());
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task New_certificates_are_used_and_existing_connections_are_not_affected(bool bySignal)
    {
        string before = _certificates.Issue("localhost", ["localhost"], days: 90.5);
        using MegaphoneProcess both = await BothAsync("direct", "localhost");
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        Assert.Equal(before, client.Serial);
        await both.IsDaysAheadAsync(90, "megaphone_ecm_certificate_expiry_seconds");

        string after = _certificates.Issue("localhost", ["localhost"], days: 50.5);
        if (bySignal) await both.ReloadAsync(done: 1);
        await both.IsDaysAheadAsync(50, "megaphone_ecm_certificate_expiry_seconds");

        Assert.Equal(after, await SerialAsync(both, "localhost"));
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task Unusable_certificates_are_logged_and_the_previous_ones_stay_in_use()
    {
        string before = _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess both = await BothAsync("direct", "localhost");
        string key = await File.ReadAllTextAsync(_certificates.Files("localhost").Key);

        // Another key than the certificate's: as between the two steps of a careless renewal.
        await File.WriteAllTextAsync(_certificates.Files("localhost").Key, "none");
        await both.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=failed");
        await BoundedWait.UntilAsync(
            () => both.Complaints("New certificates cannot be used").Any(line => line.Contains("localhost.key")), "a line that names the file");
        Assert.Equal(before, await SerialAsync(both, "localhost"));

        await File.WriteAllTextAsync(_certificates.Files("localhost").Key, key);
        await both.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=ok");
        Assert.Equal(before, await SerialAsync(both, "localhost"));
    }

    [Theory]
    [InlineData("expired", "expired.pem: CN=expired expired on ")]
    [InlineData("nameless", "nameless.pem: CN=nameless names no host")]
    [InlineData("stranger", "stranger.key: the key is not that of the certificate in ")]
    [InlineData("other kind", "other kind.key: the key is not that of the certificate in ")]
    [InlineData("encrypted", "encrypted.key: the key in it is encrypted, and nobody is here to give the passphrase")]
    [InlineData("keyless", "keyless.key: there is no private key in it")]
    [InlineData("without", "without.key: there is no such file")]
    [InlineData("folder", "folder.key: it is a directory")]
    [InlineData("missing", "missing.pem: there is no such file")]
    [InlineData("garbage", "garbage.pem: there is no certificate in it")]
    [InlineData("disordered", "disordered.pem: CN=disordered was issued by CN=Authority of a test, and behind it comes CN=other")]
    [InlineData("forged", "forged.pem: CN=forged was signed with another key than that of CN=Authority of a test")]
    public async Task Unusable_certificates_are_reported_at_the_start_and_by_check(string file, string problem)
    {
        _certificates.Issue("expired", ["localhost"], days: -1);
        _certificates.Issue("nameless", []);
        _certificates.Issue("stranger", ["localhost"]);
        _certificates.Issue("other", ["localhost"]);
        File.Copy(_certificates.Files("other").Key, _certificates.Files("stranger").Key, overwrite: true);
        _certificates.Issue("other kind", ["localhost"], rsa: true);
        File.Copy(_certificates.Files("other").Key, _certificates.Files("other kind").Key, overwrite: true);
        _certificates.Issue("encrypted", ["localhost"]);
        await EncryptAsync(_certificates.Files("encrypted").Key);
        _certificates.Issue("keyless", ["localhost"]);
        await File.WriteAllTextAsync(_certificates.Files("keyless").Key, "garbage");
        _certificates.Issue("without", ["localhost"]);
        File.Delete(_certificates.Files("without").Key);
        _certificates.Issue("folder", ["localhost"]);
        File.Delete(_certificates.Files("folder").Key);
        Directory.CreateDirectory(_certificates.Files("folder").Key);
        _certificates.Issue("garbage", ["localhost"]);
        await File.WriteAllTextAsync(_certificates.Files("garbage").Certificate, "garbage");

        // It is followed by a certificate that is not its issuer's: one of an authority with the same name and another key.
        using TestCertificates others = new();
        _certificates.Issue("disordered", ["localhost"], behind: _certificates.Files("other").Certificate);
        _certificates.Issue("forged", ["localhost"], behind: others.AuthorityFile);
        string[] arguments =
        [
            .. MegaphoneProcess.Arguments(
            [
                "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Tls=direct", "Admin:Listen=127.0.0.1:0", "Ecm:Link:To=127.0.0.1:6280",
                .. _certificates.Settings(file),
            ]),
        ];

        (ChildProcess run, int status) = await MegaphoneProcess.RunAsync(["run", .. arguments]);
        (ChildProcess check, int checkStatus) = await MegaphoneProcess.RunAsync(["check", .. arguments]);
        using (run)
        using (check)
        {
            Assert.Equal((1, 1), (status, checkStatus));
            Assert.Contains(run.Errors, line => line.StartsWith("megaphone: Ecm:Tls: ", StringComparison.Ordinal) && line.Contains(problem));
            Assert.Contains(check.Output, line => line.Contains(problem));
        }
    }

    [Fact]
    public async Task A_certificate_that_does_not_cover_its_Names_is_reported_with_key_file_and_name()
    {
        const string Names = "Ecm:Tls:Certificates:1:Names";
        const string Problem =
            "narrow.pem: it covers example.org, *.example.org and not conference.chat.example.org, which Certificates:1:Names wants";
        const string Fix = "in one that does, subjectAltName has for example DNS:conference.chat.example.org";
        _certificates.Issue("other", ["localhost"]);
        _certificates.Issue("narrow", ["example.org", "*.example.org"]);
        string[] settings =
        [
            "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Tls=direct", "Ecm:MaxClients=100", "Admin:Listen=127.0.0.1:0",
            "Ecm:Link:To=127.0.0.1:6280", .. _certificates.Settings("other", "narrow"), $"{Names}:0=EXAMPLE.org", $"{Names}:1=chat.example.org",
        ];
        string[] right = [.. MegaphoneProcess.Arguments(settings)];
        string[] wrong = [.. MegaphoneProcess.Arguments([.. settings, $"{Names}:2=conference.chat.example.org"])];

        foreach ((string command, string[] arguments, int expected) in
            ((string, string[], int)[])[("check", right, 0), ("check", wrong, 1), ("run", wrong, 1)])
        {
            (ChildProcess process, int status) = await MegaphoneProcess.RunAsync([command, .. arguments]);
            using (process)
            {
                Assert.Equal(expected, status);
                Assert.Equal(expected == 1, process.Said.Contains(Problem, StringComparison.Ordinal));
                Assert.Equal(expected == 1, process.Said.Contains(Fix, StringComparison.Ordinal));
            }
        }
    }

    [Fact]
    public async Task A_renewed_certificate_that_lost_one_of_its_Names_is_not_used()
    {
        string before = _certificates.Issue("localhost", ["localhost", "chat.localhost"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Tls=direct", .. _certificates.Settings("localhost"), "Ecm:Tls:Certificates:0:Names:0=chat.localhost"]);

        _certificates.Issue("localhost", ["localhost"]);
        await both.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=failed");

        Assert.Equal(before, await SerialAsync(both, "localhost"));
    }

    [Fact]
    public async Task Check_reports_the_names_and_the_validity_of_certificates()
    {
        _certificates.Issue("soon", ["localhost", "*.example.org"], days: 5.5);
        string[] settings =
        [
            "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Tls=direct", "Ecm:MaxClients=100", "Admin:Listen=127.0.0.1:0",
            "Ecm:Link:To=127.0.0.1:6280", .. _certificates.Settings("soon"),
        ];
        (ChildProcess check, int status) = await MegaphoneProcess.RunAsync(["check", .. MegaphoneProcess.Arguments(settings)]);
        using (check)
        {
            Assert.Equal(0, status);
            Assert.Contains(check.Output, line => line.Contains("soon.pem covers localhost, *.example.org for 5 more days"));
        }
    }

    private static async Task EncryptAsync(string key)
    {
        using ChildProcess openssl = ChildProcess.Start(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", key + ".new"]);
        Assert.Equal(0, await openssl.EndAsync());
        File.Move(key + ".new", key, overwrite: true);
    }

    private static async Task<string?> SerialAsync(MegaphoneProcess both, string name)
    {
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients, name);
        await client.AssertEchoesAsync();
        return client.Serial;
    }

    private static async Task<string?> StartTlsSerialAsync(MegaphoneProcess both, string to, string sni)
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(both.Clients);
        await client.SendPlainAsync($"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>");
        await client.ReceivePlainAsync("</stream:features>");
        await client.SendPlainAsync("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        await client.ReceivePlainAsync("/>");
        await client.HandshakeAsync(sni);
        await client.AssertEchoesAsync();
        return client.Serial;
    }

    private Task<MegaphoneProcess> BothAsync(string tls, params string[] files) =>
        MegaphoneProcess.BothAsync([$"Ecm:Clients:0:Tls={tls}", .. _certificates.Settings(files)]);
}
