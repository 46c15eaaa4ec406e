using System.Net.Sockets;
using System.Text.Json;
using Megaphone.Metrics;
using Xunit;
using static Megaphone.Tests.Links.ListenedLink;

namespace Megaphone.Tests.Links;

/// <summary>Section 7 of the link protocol, word for word, at the end that accepts links.</summary>
public sealed class LinkTakeUpTests : IDisposable
{
    private readonly ListenedLink _us = new();

    [Fact]
    public void A_welcome_names_a_token_how_long_sessions_wait_and_the_window()
    {
        (_, JsonElement resume) = _us.Open(Hello(Offer()));
        Assert.InRange(resume.GetProperty("token").GetString()!.Length, 16, 64);
        Assert.Equal((90, 2 << 20), (resume.GetProperty("timeout").GetInt32(), resume.GetProperty("window").GetInt32()));
        Assert.False(resume.TryGetProperty("received", out _));
    }

    [Fact]
    public async Task Who_offers_nothing_gets_no_offer_and_its_sessions_end_with_its_connection()
    {
        Socket peer = _us.Connect("""{"op":"hello","version":1}""");
        Assert.DoesNotContain("resume", Receive(peer), StringComparison.Ordinal);
        Send(peer, 7, "hi");
        await _us.HandledAsync(0, "up, 7:hi");
        peer.Close(0);
        await _us.HandledAsync(0, "up, 7:hi, down");
        Assert.Equal(0, _us.Metrics.LinkCuts);
    }

    [Fact]
    public async Task What_has_come_is_acknowledged_a_second_later()
    {
        (Socket peer, _) = _us.OpenNew();
        Send(peer, 7, "hi");
        await _us.HandledAsync(0, "up, 7:hi");
        Send(peer, 0, """{"op":"ping","token":1}""");
        Assert.StartsWith("0:{\"op\":\"pong\"", Receive(peer), StringComparison.Ordinal);

        // The pong is sent before the ping is counted.
        await _us.ReceivedAsync(0, 34 + 32 + 23);
        _us.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal($$"""0:{"op":"ack","received":"{{34 + 32 + 23}}"}""", Receive(peer));
    }

    [Fact]
    public void A_ping_alone_is_not_acknowledged()
    {
        (Socket peer, _) = _us.OpenNew();
        for (int i = 0; i < 3; i++)
        {
            Send(peer, 0, """{"op":"ping","token":1}""");
            Assert.StartsWith("0:{\"op\":\"pong\"", Receive(peer), StringComparison.Ordinal);
            _us.Time.Advance(TimeSpan.FromSeconds(2));
        }
    }

    [Fact]
    public void An_eighth_of_the_window_is_acknowledged_at_once()
    {
        (Socket peer, _) = _us.OpenNew(Offer(window: 8 * 1000));
        Send(peer, 7, new string('x', 967));
        Send(peer, 7, "");
        Assert.Equal("""0:{"op":"ack","received":"1031"}""", Receive(peer));
    }

    [Theory]
    [InlineData("35")]
    [InlineData("33")]
    [InlineData("9223372036854775807")]
    public async Task An_acknowledgement_of_what_was_not_sent_or_of_half_a_packet_is_a_protocol_error(string received)
    {
        (Socket peer, _) = _us.OpenNew();
        await _us.HandledAsync(0, "up");
        _us.WriteTo(0, 7, "hi");
        Assert.Equal("7:hi", Receive(peer));
        Send(peer, 0, $$"""{"op":"ack","received":"{{received}}"}""");
        Assert.Equal("end", Receive(peer));
        await _us.HandledAsync(0, "up, down");
        Assert.Equal((1, 0), (_us.Metrics.ProtocolErrors, _us.Metrics.LinkCuts));
    }

    [Fact]
    public async Task What_is_acknowledged_is_free_and_the_rest_is_sent_again()
    {
        (Socket peer, string token) = _us.OpenNew();
        await _us.HandledAsync(0, "up");
        foreach (string content in new[] { "a", "b", "c" }) _us.WriteTo(0, 7, content);
        foreach (string content in new[] { "a", "b", "c" }) Assert.Equal($"7:{content}", Receive(peer));
        Send(peer, 0, """{"op":"ack","received":"33"}""");
        await BoundedWait.UntilAsync(() => _us.Metrics.UnacknowledgedBytes == 66, "the acknowledgement");

        await _us.CutAsync(peer);
        _us.WriteTo(0, 7, "d");
        (Socket again, JsonElement resume) = _us.Open(Hello(Request(token, 66)));
        Assert.Equal((token, "60"), (resume.GetProperty("token").GetString(), resume.GetProperty("received").GetString()));
        Assert.Equal(("7:c", "7:d"), (Receive(again), Receive(again)));
        Send(again, 7, "still there");
        await _us.HandledAsync(0, "up, 7:still there");
        Assert.Equal((1, 0), (_us.Metrics.LinksResumed, _us.Metrics.ProtocolErrors));
    }

    [Fact]
    public async Task A_drain_counts_until_the_link_is_taken_up()
    {
        (Socket peer, string token) = _us.OpenNew();
        await _us.HandledAsync(0, "up");
        Send(peer, 0, """{"op":"drain"}""");
        await BoundedWait.UntilAsync(() => _us.Connection(0).Link is { Draining: true }, "the drain");
        await _us.CutAsync(peer);
        Assert.True(_us.Connection(0).Link!.Draining);
        Socket again = _us.Open(Hello(Request(token, 0))).Peer;
        await BoundedWait.UntilAsync(() => _us.Connection(0).Link is { Draining: false }, "the link to be taken up");
        Send(again, 0, """{"op":"drain"}""");
        await BoundedWait.UntilAsync(() => _us.Connection(0).Link!.Draining, "the drain");
    }

    [Fact]
    public async Task Half_a_packet_is_forgotten_with_its_connection()
    {
        (Socket peer, string token) = _us.OpenNew();
        byte[] packet = Packets.Of(7, "not yet");
        peer.Send(packet, 0, packet.Length - 1, SocketFlags.None);
        await BoundedWait.UntilAsync(() => _us.Metrics.BytesIn > packet.Length, "half of it");
        await _us.CutAsync(peer);
        (Socket again, JsonElement resume) = _us.Open(Hello(Request(token, 0)));
        Assert.Equal("0", resume.GetProperty("received").GetString());
        again.Send(packet);
        await _us.HandledAsync(0, "up, 7:not yet");
    }

    [Fact]
    public async Task A_welcome_may_be_lost_any_number_of_times()
    {
        (Socket peer, string token) = _us.OpenNew();
        await _us.HandledAsync(0, "up");
        _us.WriteTo(0, 7, "hi");
        for (int i = 0; i < 5; i++)
        {
            await _us.CutAsync(peer);
            peer = _us.Connect(Hello(Request(token, 0)));
            await BoundedWait.UntilAsync(() => _us.Metrics.Links == 1, "the link");
        }

        Assert.Contains("welcome", Receive(peer), StringComparison.Ordinal);
        Assert.Equal("7:hi", Receive(peer));
    }

    [Theory]
    [InlineData("not the token", "i1", 0)]
    [InlineData(null, "i2", 0)]
    [InlineData(null, "i1", 1)]
    public async Task Who_asks_for_a_link_that_is_not_there_gets_a_new_one(string? asked, string instance, int slot)
    {
        (Socket peer, string token) = _us.OpenNew();
        await _us.CutAsync(peer);
        (_, JsonElement resume) = _us.Open(Hello(Request(asked ?? token, 0, instance, slot)));
        Assert.NotEqual(token, resume.GetProperty("token").GetString());
        Assert.False(resume.TryGetProperty("received", out _));
        await _us.HandledAsync(1, "up");

        // Another slot's link has nothing to do with it.
        await _us.HandledAsync(0, slot == 0 ? "up, down" : "up");
    }

    [Fact]
    public async Task A_link_that_says_it_has_received_what_was_not_sent_is_over()
    {
        (Socket peer, string token) = _us.OpenNew();
        await _us.CutAsync(peer);
        Socket again = _us.Connect(Hello(Request(token, 1)));
        Assert.Equal("end", Receive(again));
        await _us.HandledAsync(0, "up, down");
        Assert.Equal(1, _us.Metrics.ProtocolErrors);
    }

    /// <summary>As after a network that has dropped everything: the other end has given its connection up, and this one does not know.</summary>
    [Fact]
    public async Task A_connection_that_still_stands_ends_before_the_link_is_taken_up()
    {
        (Socket peer, string token) = _us.OpenNew();
        Send(peer, 7, "hi");
        await _us.HandledAsync(0, "up, 7:hi");
        (_, JsonElement resume) = _us.Open(Hello(Request(token, 0)));
        Assert.Equal("34", resume.GetProperty("received").GetString());
        Assert.Equal("end", Receive(peer));
        await BoundedWait.UntilAsync(() => _us.Metrics is { Links: 1, LinksResumed: 1 }, "the link");
    }

    [Fact]
    public async Task A_link_that_is_closed_is_over_and_that_is_acknowledged_at_once()
    {
        (Socket peer, string token) = _us.OpenNew();
        Send(peer, 0, """{"op":"close","reason":"x"}""");
        Assert.Equal("""0:{"op":"ack","received":"59"}""", Receive(peer));
        peer.Shutdown(SocketShutdown.Send);
        Assert.Equal("end", Receive(peer));
        await _us.HandledAsync(0, "up, down");
        Assert.NotEqual(token, _us.OpenNew(Request(token, 0)).Token);
    }

    [Fact]
    public async Task Who_closes_a_link_says_so_last_and_waits_until_that_is_acknowledged()
    {
        (Socket peer, _) = _us.OpenNew();
        await _us.HandledAsync(0, "up");
        _us.WriteTo(0, 7, "hi");
        Task draining = _us.Connection(0).DrainAsync(CancellationToken.None);
        Assert.Equal("7:hi", Receive(peer));
        Assert.Equal("""0:{"op":"close","reason":"shutting down"}""", Receive(peer));
        Send(peer, 0, """{"op":"ack","received":"105"}""");
        Assert.Equal("end", Receive(peer));
        peer.Close();
        await BoundedWait.WithinAsync(draining, "the end");
        await _us.HandledAsync(0, "up, down");
        Assert.Equal(0, _us.Metrics.LinkCuts);
    }

    [Fact]
    public async Task A_link_that_does_not_come_back_in_time_is_over()
    {
        (Socket peer, _) = _us.OpenNew();
        await _us.CutAsync(peer);
        _us.Time.Advance(TimeSpan.FromSeconds(89.9));
        await _us.HandledAsync(0, "up");
        _us.Time.Advance(TimeSpan.FromSeconds(0.1));
        await _us.HandledAsync(0, "up, down");
        Assert.Contains(_us.Log.Lines, line => line.Contains("is lost after having been cut for 90.0 s", StringComparison.Ordinal));
        Assert.Equal((0, 90), (_us.Metrics.LinksCut, _us.Metrics.LinkCutTime.TotalSeconds));
    }

    [Fact]
    public async Task A_new_process_with_the_same_name_ends_what_waits_for_the_old_one_and_what_is_cut_later()
    {
        (Socket first, _) = _us.OpenNew(Offer("i1", 0));
        (Socket second, _) = _us.OpenNew(Offer("i1", 1));
        await _us.CutAsync(first);
        _us.OpenNew(Offer("i2", 0));
        await _us.HandledAsync(0, "up, down");
        await _us.HandledAsync(1, "up");
        second.Close(0);
        await _us.HandledAsync(1, "up, down");
    }

    [Fact]
    public async Task Another_ECMs_links_wait_on()
    {
        (Socket first, string token) = _us.OpenNew(Offer("i1", 0), "one");
        await _us.CutAsync(first);
        _us.OpenNew(Offer("i2", 0), "other");
        Assert.Equal(token, _us.Open(Hello(Request(token, 0), "one")).Resume.GetProperty("token").GetString());
    }

    [Fact]
    public async Task At_MaxLinks_links_come_back_and_new_ones_are_refused()
    {
        (Socket first, string one) = _us.OpenNew(Offer("i1", 0));
        (_, string two) = _us.OpenNew(Offer("i1", 1));
        await _us.CutAsync(first);
        Assert.Equal("""0:{"op":"refuse","reason":"MaxLinks (2) is reached"}""", Receive(_us.Connect(Hello(Offer("i1", 2)))));
        Assert.Equal(1, _us.Metrics.Refused(RefusalReason.TooMany));

        // One that is cut, and one whose last connection still stands.
        Assert.Equal(one, _us.Open(Hello(Request(one, 0))).Resume.GetProperty("token").GetString());
        Assert.Equal(two, _us.Open(Hello(Request(two, 0, slot: 1))).Resume.GetProperty("token").GetString());
        await BoundedWait.UntilAsync(() => _us.Metrics.Links == 2, "both links");
    }

    [Fact]
    public async Task A_process_that_begins_anew_finds_its_place_at_MaxLinks()
    {
        (Socket first, _) = _us.OpenNew(Offer("i1", 0));
        _us.OpenNew(Offer("i1", 1));
        await _us.CutAsync(first);
        _us.OpenNew(Offer("i2", 0));
        _us.OpenNew(Offer("i1", 1));
        await BoundedWait.UntilAsync(() => _us.Metrics.Links == 2, "both links");
    }

    [Fact]
    public async Task A_listener_that_stood_still_goes_on_with_its_links_and_with_those_who_came_meanwhile()
    {
        (Socket peer, string token) = _us.OpenNew();
        Send(peer, 7, "before");
        await _us.HandledAsync(0, "up, 7:before");
        await _us.ReceivedAsync(0, 32 + 6);
        await _us.SuspendAsync();
        Assert.Equal("end", Receive(peer));
        _us.WriteTo(0, 7, "while it stood");
        Socket again = _us.Connect(Hello(Request(token, 0)));
        _us.GoOn();
        Assert.Contains(token, Receive(again), StringComparison.Ordinal);
        Assert.Equal("7:while it stood", Receive(again));
        Assert.Equal(1, _us.Metrics.LinksResumed);
        Assert.DoesNotContain(_us.Log.Lines, line => line.Contains("is cut", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_link_is_found_before_its_other_end_can_ask_for_it()
    {
        // The welcome is sent when the handler hears of the link.
        TaskCompletionSource<bool> isFound = new();
        _us.WhenUp = link => isFound.SetResult(_us.IsRegistered(link));
        _us.OpenNew();
        Assert.True(await isFound.Task.WaitAsync(BoundedWait.Limit));
    }

    [Fact]
    public async Task Silence_for_a_keepAlive_after_a_ping_is_a_cut()
    {
        (Socket peer, _) = _us.OpenNew();
        await _us.HandledAsync(0, "up");
        for (int halves = 0; halves < 2; halves++)
        {
            _us.Time.Advance(TimeSpan.FromSeconds(7.5));
            Assert.StartsWith("0:{\"op\":\"ping\"", Receive(peer), StringComparison.Ordinal);
        }

        _us.Time.Advance(TimeSpan.FromSeconds(7.5));
        await BoundedWait.UntilAsync(() => _us.Metrics.LinkCuts == 1, "the cut");
        await _us.HandledAsync(0, "up");
    }

    public void Dispose() => _us.Dispose();
}
