using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Megaphone.Admin;
using Megaphone.Cli;
using Megaphone.Configuration;
using Megaphone.Metrics;
using Megaphone.Operator;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Admin;

public sealed class AdminEndpointTests : IAsyncLifetime, IDisposable
{
    private const string NoClient =
        "There is no client's id, and no --address; for example megaphone kick 4294967297, as megaphone clients lists it";

    private readonly MetricsPublisher _publisher = new([new RoleMetrics(Role.Ecm)], new ReloadCounters());
    private readonly PrometheusText _text;
    private readonly AdminEndpoint _endpoint;
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-admin-").FullName;
    private readonly ReloadOutcome _outcome = new(ReloadResult.Refused, "the \"reason\"");
    private readonly HttpClient _client = new();
    private readonly RecordingDesk _desk = new();
    private string? _notReady;
    private string[] _outages = [];

    public AdminEndpointTests()
    {
        _text = new PrometheusText(_publisher.Meter);
        _endpoint = new AdminEndpoint(
            new AdminOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), Socket = SocketPath },
            new AdminApplication(
                () => _notReady, () => _outages, _text, new StatusSource([], new ReloadCounters(), () => ("ready", [])),
                new OperatorRoutes(_desk, waiter => waiter.Tell(_outcome)), NullLogger<AdminApplication>.Instance),
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

        using HttpClient over = OverSocket();
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
    [InlineData("HEAD", "/", HttpStatusCode.OK)]
    [InlineData("HEAD", "/status.json", HttpStatusCode.OK)]
    [InlineData("POST", "/status.json", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", "/index.html", HttpStatusCode.NotFound)]
    [InlineData("GET", "/clients", HttpStatusCode.NotFound)]
    [InlineData("GET", "/config", HttpStatusCode.NotFound)]
    [InlineData("POST", "/kick?id=1", HttpStatusCode.NotFound)]
    [InlineData("POST", "/drain", HttpStatusCode.NotFound)]
    [InlineData("POST", "/undrain", HttpStatusCode.NotFound)]
    [InlineData("POST", "/loglevel?category=Default&level=Debug", HttpStatusCode.NotFound)]
    [InlineData("GET", "/metrics/", HttpStatusCode.NotFound)]
    public async Task Other_paths_and_methods_are_refused(string method, string path, HttpStatusCode status)
    {
        using HttpRequestMessage request = new(new HttpMethod(method), path);
        using HttpResponseMessage answer = await _client.SendAsync(request);

        Assert.Equal(status, answer.StatusCode);
        Assert.Empty(_desk.Asked);
    }

    [Fact]
    public async Task The_status_page_is_served_with_its_policy()
    {
        using HttpResponseMessage page = await _client.GetAsync("/");
        Assert.Equal("text/html; charset=utf-8", page.Content.Headers.ContentType!.ToString());
        Assert.Equal([StatusPage.ContentSecurityPolicy], page.Headers.GetValues("Content-Security-Policy"));
        Assert.Equal(StatusPage.Html, await page.Content.ReadAsByteArrayAsync());
        StatusReport status = JsonSerializer.Deserialize(await _client.GetStringAsync("/status.json"), OperatorJson.Default.StatusReport)!;
        Assert.Equal(("ready", ProductVersion.Current), (status.State, status.Version));
    }

    [Theory]
    [InlineData("GET", "/clients", "clients any 100")]
    [InlineData("GET", "/clients?address=192.0.2.0/24&limit=5", "clients 192.0.2.0/24 5")]
    [InlineData("GET", "/clients?address=192.0.2.7", "clients 192.0.2.7/32 100")]
    [InlineData("GET", "/clients?address=2001:db8::7", "clients 2001:db8::7/128 100")]
    [InlineData("GET", "/config", "config")]
    [InlineData("POST", "/kick?id=17", "kick 17")]
    [InlineData("POST", "/kick?address=192.0.2.0/24", "kick 192.0.2.0/24")]
    [InlineData("POST", "/drain", "drain as configured everything")]
    [InlineData("POST", "/drain?over=5m&server=node1.example.org:6280", "drain 00:05:00 node1.example.org:6280")]
    [InlineData("POST", "/undrain", "undrain")]
    [InlineData("POST", "/loglevel?category=Megaphone.Links&level=Debug", "loglevel Megaphone.Links Debug")]
    public async Task Questions_and_orders_come_over_the_operators_socket(string method, string target, string asked)
    {
        (HttpStatusCode status, _) = await AskAsync(method, target);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(asked, Assert.Single(_desk.Asked));
    }

    [Theory]
    [InlineData("GET", "/clients?limit=-1", "--limit \"-1\" must be a whole number from 0 to 1000000; for example 100")]
    [InlineData("GET", "/clients?address=10.0.0.0/40", "--address \"10.0.0.0/40\" must be ADDRESS/BITS, with no bit set behind these; "
        + "for example 10.0.0.0/8 or 2001:db8::1/128")]
    [InlineData("POST", "/kick", NoClient)]
    [InlineData("POST", "/kick?id=0", NoClient)]
    [InlineData("POST", "/drain?over=5", "--over \"5\" must be a duration from 0s to 24h; for example 1m")]
    [InlineData("POST", "/loglevel?level=Debug", "There is no category; for example megaphone loglevel Megaphone.Links Debug")]
    public async Task What_is_wrong_with_them_is_told(string method, string target, string problem)
    {
        (HttpStatusCode status, string body) = await AskAsync(method, target);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(problem, JsonSerializer.Deserialize(body, OperatorJson.Default.Answer)!.Message);
        Assert.Empty(_desk.Asked);
    }

    [Fact]
    public async Task An_order_that_cannot_be_followed_says_why()
    {
        _desk.Refuses = "there is no ECM in this process";
        (HttpStatusCode status, string body) = await AskAsync("POST", "/undrain");
        Assert.Equal((HttpStatusCode.Conflict, """{"message":"there is no ECM in this process"}"""), (status, body));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await AskAsync("GET", "/undrain")).Status);
    }

    private async Task<(HttpStatusCode Status, string Body)> AskAsync(string method, string target)
    {
        using HttpClient over = OverSocket();
        using HttpRequestMessage request = new(new HttpMethod(method), new Uri($"http://megaphone{target}"));
        using HttpResponseMessage answer = await over.SendAsync(request);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private HttpClient OverSocket() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });
}
