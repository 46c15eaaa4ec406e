using System.Net;
using Megaphone.Admin;
using Megaphone.Configuration;
using Megaphone.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Admin;

public sealed class AdminEndpointTests : IAsyncLifetime, IDisposable
{
    private readonly MetricsPublisher _publisher = new([new RoleMetrics(Role.Ecm)]);
    private readonly PrometheusText _text;
    private readonly AdminEndpoint _endpoint;
    private readonly HttpClient _client = new();
    private string? _notReady;
    private string[] _outages = [];

    public AdminEndpointTests()
    {
        _text = new PrometheusText(_publisher.Meter);
        _endpoint = new AdminEndpoint(
            new AdminOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0) },
            new AdminApplication(() => _notReady, () => _outages, _text, NullLogger<AdminApplication>.Instance),
            NullLoggerFactory.Instance);
    }

    public async Task InitializeAsync()
    {
        await _endpoint.StartAsync(CancellationToken.None);
        _client.BaseAddress = new Uri($"http://{_endpoint.Listening}");
    }

    public Task DisposeAsync() => _endpoint.StopAsync(CancellationToken.None);

    public void Dispose()
    {
        _client.Dispose();
        _endpoint.Dispose();
        _text.Dispose();
        _publisher.Dispose();
    }

    [Fact]
    public async Task Readyz_tells_which_servers_are_out_though_others_serve()
    {
        _outages = ["no link to node2:6280 is up"];
        Assert.Equal("ready\nno link to node2:6280 is up\n", await _client.GetStringAsync(new Uri("/readyz", UriKind.Relative)));
    }

    [Fact]
    public async Task Healthz_answers_ok()
    {
        Assert.Equal("ok\n", await _client.GetStringAsync("/healthz"));
    }

    [Fact]
    public async Task Readyz_answers_ready_or_the_reason()
    {
        Assert.Equal("ready\n", await _client.GetStringAsync("/readyz"));

        _notReady = "no link is up";
        using HttpResponseMessage answer = await _client.GetAsync("/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("no link is up\n", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Metrics_are_Prometheus_text()
    {
        using HttpResponseMessage answer = await _client.GetAsync("/metrics");

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType!.ToString());
        Assert.Contains("megaphone_ecm_clients 0\n", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HEAD", "/healthz", HttpStatusCode.OK)]
    [InlineData("HEAD", "/metrics", HttpStatusCode.OK)]
    [InlineData("POST", "/metrics", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", "/", HttpStatusCode.NotFound)]
    [InlineData("GET", "/metrics/", HttpStatusCode.NotFound)]
    public async Task Other_paths_and_methods_are_refused(string method, string path, HttpStatusCode status)
    {
        using HttpRequestMessage request = new(new HttpMethod(method), path);
        using HttpResponseMessage answer = await _client.SendAsync(request);

        Assert.Equal(status, answer.StatusCode);
    }
}
