using System.Net;
using System.Net.Sockets;
using Megaphone.Admin;
using Megaphone.Cli;
using Megaphone.Configuration;
using Megaphone.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Admin;

public sealed class AdminEndpointTests : IAsyncLifetime, IDisposable
{
    private readonly MetricsPublisher _publisher = new([new RoleMetrics(Role.Ecm)], new ReloadCounters());
    private readonly PrometheusText _text;
    private readonly AdminEndpoint _endpoint;
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-admin-").FullName;
    private readonly ReloadOutcome _outcome = new(ReloadResult.Refused, "the \"reason\"");
    private readonly HttpClient _client = new();
    private string? _notReady;
    private string[] _outages = [];

    public AdminEndpointTests()
    {
        _text = new PrometheusText(_publisher.Meter);
        _endpoint = new AdminEndpoint(
            new AdminOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), Socket = SocketPath },
            new AdminApplication(() => _notReady, () => _outages, _text, waiter => waiter.Tell(_outcome), NullLogger<AdminApplication>.Instance),
            NullLoggerFactory.Instance,
            OperatorSocket.Bind(SocketPath));
    }

    private string SocketPath => Path.Combine(_folder, "admin.sock");

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
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Reload_is_for_those_who_may_write_to_the_socket_and_answers_with_its_outcome()
    {
        using HttpResponseMessage overTcp = await _client.PostAsync("/reload", null);
        Assert.Equal(HttpStatusCode.NotFound, overTcp.StatusCode);

        using HttpClient over = new(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        using HttpResponseMessage answer = await over.PostAsync(new Uri("http://megaphone/reload"), null);
        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
        Assert.Equal("""{"result":"refused","message":"the \u0022reason\u0022"}""", await answer.Content.ReadAsStringAsync());
        using HttpResponseMessage got = await over.GetAsync(new Uri("http://megaphone/reload"));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, got.StatusCode);
        Assert.Equal("ok\n", await over.GetStringAsync(new Uri("http://megaphone/healthz")));
        Assert.True(ReloadCommand.TryRun(SocketPath, out string message) is false && message == "the \"reason\"");
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
