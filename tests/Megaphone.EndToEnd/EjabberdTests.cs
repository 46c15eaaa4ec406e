using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>A real XMPP server behind the hub, and real clients in front of the ECM.</summary>
public sealed class EjabberdTests : IAsyncLifetime
{
    private Ejabberd _ejabberd = null!;
    private MegaphoneProcess _hub = null!;
    private MegaphoneProcess _ecm = null!;

    public async Task InitializeAsync()
    {
        _ejabberd = await Ejabberd.StartAsync();
        _hub = await MegaphoneProcess.HubAsync($"Hub:Backend=tcp://{_ejabberd.ProxyListener}");
        _ecm = await MegaphoneProcess.EcmAsync(_hub.Hub, "Ecm:Proxy=v2");
        await _ecm.HasLinksAsync(1, "ecm");
    }

    public async Task DisposeAsync()
    {
        _ecm.Dispose();
        _hub.Dispose();
        await _ejabberd.DisposeAsync();
    }

    [Theory]
    [InlineData("required")]
    [InlineData("disabled")]
    public async Task Two_users_exchange_a_thousand_messages_each_way_and_the_server_gets_their_real_addresses(string startTls)
    {
        using ChildProcess chat = _ejabberd.Chat(_ecm.Clients, startTls, count: 1000);

        AssertAllArrived(await chat.LineAsync("{"), 1000, startTls == "required");

        // Both are still logged in. Name, kind of connection, address, port, …
        string[][] users = [.. (await _ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        Assert.Equal(2, users.Length);
        Assert.Equal("127.0.0.2", users.Single(user => user[0].StartsWith("juliet@", StringComparison.Ordinal))[2]);
        Assert.Equal("127.0.0.3", users.Single(user => user[0].StartsWith("romeo@", StringComparison.Ordinal))[2]);

        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());
        await _ecm.HasClientsAsync(0);
        await _hub.HasSessionsAsync(0);
        await _ecm.ReachesAsync(2, "megaphone_sessions_closed_total", "role=ecm");
    }

    [Fact]
    public async Task When_ejabberd_is_killed_its_users_are_disconnected_and_can_log_in_again_after_its_restart()
    {
        int hubDescriptors = await _hub.IdleDescriptorsAsync();
        int ecmDescriptors = await _ecm.IdleDescriptorsAsync();
        using ChildProcess chat = _ejabberd.Chat(_ecm.Clients, "required", count: 3000, pause: 0.002);
        await _hub.HasSessionsAsync(2);
        // Far more than logging in takes: they are exchanging messages.
        await _hub.ReachesAtLeastAsync(500, "megaphone_link_packets_total", "role=hub", "direction=out");

        Signals.Send(_ejabberd.Id, Signals.Kill);

        // The ECM and the hub notice; the users are disconnected in the middle of their messages.
        using JsonDocument verdict = JsonDocument.Parse(await chat.LineAsync("{"));
        Assert.Contains("disconnected", verdict.RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.All(verdict.RootElement.GetProperty("messages").EnumerateArray(), way =>
        {
            Assert.InRange(way.GetProperty("received").GetInt32(), 1, 2999);
            Assert.True(way.GetProperty("in_order").GetBoolean());
            Assert.Equal(0, way.GetProperty("doubled").GetInt32());
        });
        await AssertNothingIsLeftAsync(hubDescriptors, ecmDescriptors);
        Assert.Equal(1, (await _ecm.MetricsAsync())["megaphone_links", "role=ecm"]);
        chat.CloseInput();
        await chat.EndAsync();

        await _ejabberd.StartAgainAsync();
        using ChildProcess again = _ejabberd.Chat(_ecm.Clients, "required", count: 10);
        AssertAllArrived(await again.LineAsync("{"), 10, encrypted: true);
        again.CloseInput();
        Assert.Equal(0, await again.EndAsync());
        await AssertNothingIsLeftAsync(hubDescriptors, ecmDescriptors);
    }

    private async Task AssertNothingIsLeftAsync(int hubDescriptors, int ecmDescriptors)
    {
        await _ecm.HasClientsAsync(0);
        await _hub.HasSessionsAsync(0);
        await _ecm.ReachesAsync(0, "megaphone_buffered_bytes");
        await _hub.ReachesAsync(0, "megaphone_buffered_bytes");
        await _ecm.DescriptorsAreBackToAsync(ecmDescriptors);
        await _hub.DescriptorsAreBackToAsync(hubDescriptors);
    }

    private static void AssertAllArrived(string verdict, int count, bool encrypted)
    {
        JsonElement result = JsonDocument.Parse(verdict).RootElement;
        Assert.True(result.GetProperty("ok").GetBoolean(), verdict);
        JsonElement[] ways = [.. result.GetProperty("messages").EnumerateArray()];
        Assert.Equal(2, ways.Length);
        foreach (JsonElement way in ways)
        {
            Assert.Equal(
                (count, 0, 0, true),
                (way.GetProperty("received").GetInt32(), way.GetProperty("lost").GetInt32(), way.GetProperty("doubled").GetInt32(),
                    way.GetProperty("in_order").GetBoolean()));
        }

        Assert.All(result.GetProperty("tls").EnumerateArray(), version =>
            Assert.Equal(encrypted, version.ValueKind == JsonValueKind.String && version.GetString()!.StartsWith("TLS", StringComparison.Ordinal)));
    }
}
