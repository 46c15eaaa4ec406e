using System.Xml.Linq;

namespace Megaphone.EndToEnd;

/// <summary>What a scanner finds out about TLS at the ECM: it is the same whoever protects the records.</summary>
public sealed class TlsScanTests(TlsPeerServer server) : IClassFixture<TlsPeerServer>
{
    /// <summary>All that sslscan finds, but for the certificate and the groups of keys, which are OpenSSL's defaults.</summary>
    private const string Findings = """
        protocol type=ssl version=2 enabled=0
        protocol type=ssl version=3 enabled=0
        protocol type=tls version=1.0 enabled=0
        protocol type=tls version=1.1 enabled=0
        protocol type=tls version=1.2 enabled=1
        protocol type=tls version=1.3 enabled=1
        renegotiation supported=0 secure=0
        heartbleed sslversion=TLSv1.3 vulnerable=0
        heartbleed sslversion=TLSv1.2 vulnerable=0
        cipher status=preferred sslversion=TLSv1.3 bits=128 cipher=TLS_AES_128_GCM_SHA256
        cipher status=accepted sslversion=TLSv1.3 bits=256 cipher=TLS_CHACHA20_POLY1305_SHA256
        cipher status=accepted sslversion=TLSv1.3 bits=256 cipher=TLS_AES_256_GCM_SHA384
        cipher status=preferred sslversion=TLSv1.2 bits=128 cipher=ECDHE-ECDSA-AES128-GCM-SHA256
        cipher status=accepted sslversion=TLSv1.2 bits=256 cipher=ECDHE-ECDSA-AES256-GCM-SHA384
        cipher status=accepted sslversion=TLSv1.2 bits=256 cipher=ECDHE-ECDSA-CHACHA20-POLY1305
        """;

    private static readonly string[] Elements = ["protocol", "renegotiation", "heartbleed", "cipher"];

    /// <summary>What depends on the version of sslscan, or on OpenSSL's groups.</summary>
    private static readonly string[] LeftOut = ["id", "strength", "curve", "ecdhebits"];

    public static TheoryData<string> Layers => [.. RecordLayers.Names];

    public static TheoryData<string, string, string[]> Preferences
    {
        get
        {
            TheoryData<string, string, string[]> all = [];
            foreach (string layer in RecordLayers.Names)
            {
                all.Add(layer, "TLS_AES_128_GCM_SHA256", ["-tls1_3"]);
                all.Add(layer, "TLS_CHACHA20_POLY1305_SHA256", ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"]);
                all.Add(layer, "ECDHE-ECDSA-AES128-GCM-SHA256", ["-tls1_2"]);
                all.Add(layer, "ECDHE-ECDSA-CHACHA20-POLY1305", ["-tls1_2", "-cipher", "ECDHE+CHACHA20:ECDHE+AESGCM"]);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task Sslscan_finds_nothing_weak(string layer)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using ChildProcess scan = ChildProcess.Start(["sslscan", "--xml=-", "--sni-name=localhost", $"{both.Clients}"]);
        Assert.Equal(0, await scan.EndAsync());

        XElement found = XDocument.Parse(string.Join('\n', scan.Output)).Root!.Element("ssltest")!;
        Assert.Equal(Findings, string.Join('\n', found.Elements().Where(element => Elements.Contains(element.Name.LocalName)).Select(Line)));
        Assert.DoesNotContain(found.Elements("compression"), element => element.Attribute("supported")!.Value != "0");
    }

    /// <remarks>In the order of openssl's clients AES-256 is first.</remarks>
    [Theory]
    [MemberData(nameof(Preferences))]
    public async Task AES_128_is_preferred_unless_the_client_names_ChaCha20_first(string layer, string chosen, string[] options)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using ChildProcess client = ChildProcess.Start(["openssl", "s_client", "-connect", $"{both.Clients}", .. options]);
        Assert.EndsWith($"Cipher is {chosen}", await client.LineAsync("New, "));
    }

    private static string Line(XElement element) =>
        string.Join(' ', element.Attributes().Where(attribute => !LeftOut.Contains(attribute.Name.LocalName))
            .Select(attribute => $"{attribute.Name}={attribute.Value}").Prepend(element.Name.LocalName));
}
