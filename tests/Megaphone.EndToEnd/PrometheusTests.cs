namespace Megaphone.EndToEnd;

/// <summary>promtool accepts <c>/metrics</c>, whatever is configured.</summary>
public sealed class PrometheusTests : IDisposable
{
    private readonly TestCertificates _certificates = new();

    public PrometheusTests()
    {
        _certificates.Issue("clients", ["localhost", "*.example.org"]);
        _certificates.Issue("hub", ["hub.example.org"]);
        _certificates.Issue("edge", ["edge.example.org"]);
    }

    private string[] ClientTls =>
    [
        "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:1:Framing=stanza", "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Tls=direct",
        .. _certificates.Settings("clients"),
    ];

    private string[] HubTls =>
    [
        $"Hub:Tls:Certificate={_certificates.Files("hub").Certificate}", $"Hub:Tls:Key={_certificates.Files("hub").Key}",
        $"Hub:Tls:ClientCa={_certificates.AuthorityFile}",
    ];

    private string[] LinkTls =>
    [
        $"Ecm:Link:Tls:Certificate={_certificates.Files("edge").Certificate}", $"Ecm:Link:Tls:Key={_certificates.Files("edge").Key}",
        $"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}", "Ecm:Link:Tls:Name=hub.example.org",
    ];

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public async Task Promtool_has_no_complaint_about_an_ECM_or_a_hub()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");

        await AssertAcceptedAsync(hub);
        await AssertAcceptedAsync(ecm);
    }

    [Fact]
    public async Task Promtool_has_no_complaint_where_there_are_certificates()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(HubTls);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub, [.. ClientTls, .. LinkTls]);
        await ecm.HasLinksAsync(1, "ecm");

        Assert.Contains("megaphone_ecm_certificate_expiry_seconds{certificate=", await AssertAcceptedAsync(ecm));
        Assert.Contains("megaphone_link_certificate_expiry_seconds{role=\"hub\",certificate=", await AssertAcceptedAsync(hub));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Promtool_has_no_complaint_about_both_in_one_process(bool tls)
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(tls ? [.. ClientTls, .. HubTls, .. LinkTls] : []);

        await AssertAcceptedAsync(both);
    }

    private static async Task<string> AssertAcceptedAsync(MegaphoneProcess process)
    {
        (int status, string metrics) = await process.GetAsync("/metrics");
        Assert.Equal(200, status);

        Assert.Equal((0, ""), await Promtool.RunAsync(["check", "metrics"], input: metrics));
        return metrics;
    }
}
