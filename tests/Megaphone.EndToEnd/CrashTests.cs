using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>
/// ECM, hub and backend are killed in turn under load: the others clean up and recover. Links are not resumed here: a lost one is lost.
/// </summary>
public sealed class CrashTests : IAsyncLifetime, IDisposable
{
    private const int Clients = 100;

    private ChildProcess _backend = null!;
    private IPEndPoint _backendAddress = null!;
    private MegaphoneProcess _hub = null!;
    private MegaphoneProcess _ecm = null!;
    private int _hubDescriptors;
    private int _ecmDescriptors;
    private readonly CancellationTokenSource _end = new();
    private readonly List<TestConnection> _clients = [];
    private Task _load = Task.CompletedTask;

    public async Task InitializeAsync()
    {
        _backend = PythonPeer.Start("echo_backend.py");
        _backendAddress = await _backend.ListeningAsync();
        _hub = await MegaphoneProcess.HubAsync($"Hub:Backend=tcp://{_backendAddress}", "Service:KeepAlive=00:00:01", "Hub:ResumeTimeout=0s");
        _ecm = await EcmAsync();
        await _ecm.HasLinksAsync(1, "ecm");
        _hubDescriptors = await _hub.IdleDescriptorsAsync();
        _ecmDescriptors = await _ecm.IdleDescriptorsAsync();
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _clients.ForEach(client => client.Dispose());
        _ecm.Dispose();
        _hub.Dispose();
        _backend.Dispose();
        _end.Dispose();
    }

    [Fact]
    public async Task When_the_backend_is_killed_its_sessions_end_and_a_new_one_is_served()
    {
        await LoadAsync();

        _backend.Signal(Signals.Kill);
        await _backend.EndAsync();
        await AssertAllClientsAreGoneAsync();

        await AssertNothingIsLeftAsync();
        // Both ends of every session know why it ended.
        Assert.Equal(Clients, (await _hub.MetricsAsync())["megaphone_sessions_closed_total", "role=hub"]);
        Assert.Equal(1, (await _ecm.MetricsAsync())["megaphone_links", "role=ecm"]);
        _backend.Dispose();
        _backend = PythonPeer.Start("echo_backend.py", "--listen", _backendAddress.ToString());
        await _backend.ListeningAsync();
        await AssertServesAsync();
    }

    [Fact]
    public async Task When_the_hub_is_killed_clients_are_disconnected_and_a_new_hub_is_connected()
    {
        await LoadAsync();
        IPEndPoint address = _hub.Hub;

        await _hub.KillAsync();
        await AssertAllClientsAreGoneAsync();

        await _ecm.HasClientsAsync(0);
        await _ecm.HasLinksAsync(0, "ecm");
        await _ecm.HasClosedAsync(Clients, "ecm", "link_lost");
        Assert.Equal(503, (await _ecm.GetAsync("/readyz")).Status);
        _hub.Dispose();
        _hub = await MegaphoneProcess.StartAsync([$"Hub:Listen={address}", $"Hub:Backend=tcp://{_backendAddress}"]);
        await _ecm.HasLinksAsync(1, "ecm");
        await AssertNothingIsLeftAsync();
        await AssertServesAsync();
    }

    [Fact]
    public async Task When_the_ECM_is_killed_the_hub_closes_its_sessions_and_accepts_the_next_one()
    {
        await LoadAsync();

        await _ecm.KillAsync();
        await AssertAllClientsAreGoneAsync();

        await _hub.HasSessionsAsync(0);
        await _hub.HasLinksAsync(0, "hub");
        await _hub.HasClosedAsync(Clients, "hub", "link_lost");
        _ecm.Dispose();
        _ecm = await EcmAsync();
        await _ecm.HasLinksAsync(1, "ecm");
        await AssertNothingIsLeftAsync();
        await AssertServesAsync();
    }

    [Fact]
    public async Task A_hanging_hub_is_detected_by_KeepAlive_and_linked_again_when_it_continues()
    {
        await LoadAsync();

        _hub.Process.Signal(Signals.Stop);
        await AssertAllClientsAreGoneAsync();
        await _ecm.HasClientsAsync(0);
        await _ecm.HasLinksAsync(0, "ecm");

        _hub.Process.Signal(Signals.Continue);
        await _ecm.HasLinksAsync(1, "ecm");
        await _hub.HasLinksAsync(1, "hub");
        await AssertNothingIsLeftAsync();
        await AssertServesAsync();
    }

    private Task<MegaphoneProcess> EcmAsync() => MegaphoneProcess.EcmAsync(_hub.Hub, "Service:KeepAlive=00:00:01");

    /// <summary>Clients that exchange data with the echo without a pause until they are disconnected.</summary>
    private async Task LoadAsync()
    {
        _clients.AddRange(await TestConnection.ConnectManyAsync(_ecm.Clients, Clients));
        foreach (TestConnection client in _clients) await client.AssertEchoesAsync();
        await _hub.HasSessionsAsync(Clients);
        byte[] words = Sample.Bytes(2000);
        _load = Task.WhenAll(_clients.Select(async client =>
        {
            try
            {
                while (!_end.IsCancellationRequested)
                {
                    await client.SendAsync(words);
                    Sample.AssertSame(words, await client.ReceiveAsync(words.Length));
                }
            }
            catch (Exception gone) when (gone is IOException or System.Net.Sockets.SocketException)
            {
                // The expected end.
            }
        }));
        await _hub.ReachesAtLeastAsync(2 * Clients, "megaphone_link_packets_total", "role=hub", "direction=in");
    }

    /// <summary>Every client has noticed the end of its connection, and received no wrong data before.</summary>
    private Task AssertAllClientsAreGoneAsync() => BoundedWait.WithinAsync(_load, "the end of every client's connection");

    private async Task AssertNothingIsLeftAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await _ecm.HasClientsAsync(0);
        await _hub.HasSessionsAsync(0);
        await _ecm.ReachesAsync(0, "megaphone_buffered_bytes");
        await _hub.ReachesAsync(0, "megaphone_buffered_bytes");
        await _hub.DescriptorsAreBackToAsync(_hubDescriptors);
        await _ecm.DescriptorsAreBackToAsync(_ecmDescriptors);
    }

    private async Task AssertServesAsync()
    {
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(_ecm.Clients, 20);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync();
        clients.ForEach(client => client.Dispose());
        await AssertNothingIsLeftAsync();
    }
}
