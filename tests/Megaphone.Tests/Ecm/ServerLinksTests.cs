using System.Net;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tests.Links;
using Megaphone.Values;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>Links to the addresses that name servers tell, with real connections on loopback.</summary>
public sealed class ServerLinksTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly RoleMetrics _metrics = new(Role.Ecm);
    private readonly EcmLog _log = new(NullLogger<EcmRole>.Instance);
    private readonly List<LinkListener> _hubs = [];
    private readonly EcmServers _servers;
    private readonly EcmOptions _options;
    private ReactorGroup<EcmClient>? _reactors;
    private ServerLinks? _links;
    private IPAddress[] _answer = [];

    public ServerLinksTests()
    {
        // One port, which is free on every address of loopback.
        LinkListener first = Hub("127.0.0.1", 0, "one");
        HostPort name = new("servers.example.org", ((IPEndPoint)first.Listening).Port);
        Hub("127.0.0.2", name.Port, "two");
        Hub("127.0.0.3", name.Port, "one");
        _options = new EcmOptions
        {
            Clients = [new ClientListenerOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0) }],
            Connect = new LinkConnectOptions { To = [name], RetryMin = TimeSpan.FromMilliseconds(5), RetryMax = TimeSpan.FromMilliseconds(20) },
            Link = new LinkOptions { Time = _time, KeepAlive = TimeSpan.FromHours(1) },
            MaxClients = 10,
            Reactors = 1,
        };
        _servers = new EcmServers(_options.Connect.Count, _log);
    }

    [Fact]
    public async Task Each_address_of_a_name_gets_links()
    {
        Answer(1, 2);
        Start();
        await UpAsync("one", "two");
    }

    [Fact]
    public async Task An_address_that_is_new_gets_links_within_30_seconds()
    {
        Answer(1);
        Start();
        await UpAsync("one");
        Answer(1, 2);
        _time.Advance(TargetLookup.Interval);
        await UpAsync("one", "two");
    }

    [Fact]
    public async Task The_second_address_of_a_server_is_used_when_the_first_one_fails()
    {
        Answer(1, 3);
        Start();
        await UpAsync("one");
        await BoundedWait.UntilAsync(() => _servers.Links.Any(link => link.UntilNeeded is not null), "the link that stands by");
        IPAddress used = ((IPEndPoint)Up().Single().Address.EndPoint).Address;
        LinkListener left = _hubs.Single(hub => ((IPEndPoint)hub.Listening).Address.Equals(used));
        left.Dispose();
        foreach (LinkConnection connection in left.Connections()) connection.Close("a test");
        await BoundedWait.UntilAsync(
            () => Up() is [{ } now] && !((IPEndPoint)now.Address.EndPoint).Address.Equals(used), "the link over the other address");
    }

    [Fact]
    public async Task An_address_that_has_left_keeps_its_link_and_gets_no_new_clients()
    {
        Answer(1, 2);
        Start();
        await UpAsync("one", "two");
        Answer(2);
        for (int i = 0; i < 3; i++) _time.Advance(TargetLookup.Interval);
        Assert.Equal("two", _servers.Choose(out _)!.Server);
        Assert.Equal("two", _servers.Choose(out _)!.Server);
        Assert.Equal(2, Up().Count);

        // When the link is lost, nobody connects there again.
        _hubs[0].Connections().Single().Close("a test");
        await BoundedWait.UntilAsync(() => _servers.Links.Count == 1, "the end of the link");
    }

    [Fact]
    public async Task Answers_that_fail_or_are_empty_put_nobody_out()
    {
        Answer(1, 2);
        Start();
        await UpAsync("one", "two");
        Answer();
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.NotEqual(_servers.Choose(out _), _servers.Choose(out _));
    }

    [Fact]
    public async Task It_stops_whatever_its_links_are_doing()
    {
        Answer(1, 2, 3, 4);
        Start();
        await UpAsync("one", "two");
        foreach (LinkListener hub in _hubs) hub.Dispose();
        Task stopped = _links!.StopAsync();
        foreach (EcmLink link in Up()) link.Current!.Connection!.Close("a test");
        await BoundedWait.WithinAsync(stopped, "the end of all links");
        Assert.Empty(_servers.Links);
    }

    public async ValueTask DisposeAsync()
    {
        Task stopped = _links!.StopAsync();
        foreach (EcmLink link in Up()) link.Current?.Connection!.Close("the end of a test");
        await BoundedWait.WithinAsync(stopped, "the end of all links");
        _links.Dispose();
        foreach (LinkListener hub in _hubs)
        {
            hub.Dispose();
            foreach (LinkConnection connection in hub.Connections()) connection.Close("the end of a test");
        }

        _reactors!.Stop();
    }

    private void Start()
    {
        ClientHandler handler = new(_options, _metrics, _servers, _log);
        ReactorOptions reactors = new()
        {
            Name = "test",
            Reactors = 1,
            MaxConnections = 10,
            HalfOpenTimeout = _options.HalfOpenTimeout,
            Buffers = _options.Buffers,
            Liveness = _options.Liveness,
        };
        _reactors = new ReactorGroup<EcmClient>(handler, reactors, _metrics, accepted: handler);
        handler.Attach(_reactors, number => $"{number}");
        _reactors.Start();
        _links = new ServerLinks(
            _options, _servers, _reactors, _metrics, _log, new LinkLog(new RecordingLog()), null, (_, _) => Task.FromResult(_answer));
        _links.Start([]);
    }

    private LinkListener Hub(string address, int port, string name)
    {
        LinkListener hub = new(
            new IPEndPoint(IPAddress.Parse(address), port), 16, new LinkOptions { Name = name, KeepAlive = TimeSpan.FromHours(1) },
            () => new RecordingHandler(), new RoleMetrics(Role.Hub), new LinkLog(new RecordingLog()));
        hub.Start();
        _hubs.Add(hub);
        return hub;
    }

    private void Answer(params byte[] last) => _answer = [.. last.Select(one => new IPAddress((byte[])[127, 0, 0, one]))];

    private List<EcmLink> Up() => [.. _servers.Links.Where(link => link.Current is not null)];

    private Task UpAsync(params string[] names) => BoundedWait.UntilAsync(
        () => Up().Select(link => link.Server!).Order().SequenceEqual(names), $"links to {string.Join(" and ", names)}");
}
