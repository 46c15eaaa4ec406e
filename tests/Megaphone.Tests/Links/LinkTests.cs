using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Metrics;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Section 4 of the link protocol: how a link opens and ends.</summary>
public class LinkTests
{
    private const string Hello = """{"op":"hello","version":1,"name":"them","framing":"bytes","maxPacket":1048576}""";
    private const string Welcome = """{"op":"welcome","version":1,"name":"them","maxPacket":1048576,"keepAlive":15}""";

    [Fact]
    public async Task A_hello_is_answered_with_a_welcome_and_the_link_is_up()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        Assert.Equal("""0:{"op":"welcome","version":1,"name":"us","maxPacket":1048576,"keepAlive":15}""", link.Receive());
        link.Send(7, "hi");
        await link.HandledAsync("up, 7:hi");
        Assert.True(link.Link.HasControl);
        Assert.Equal(1, link.Metrics.Links);
    }

    /// <summary>Readiness follows the count, and clients that follow readiness must find the link.</summary>
    [Fact]
    public async Task A_link_is_counted_when_it_can_be_used()
    {
        using TestLink link = new(LinkOrigin.Connected);
        long countedBefore = -1;
        link.Handler.WhenUp = _ => countedBefore = link.Metrics.Links;
        link.Receive();
        link.Send(0, Welcome);
        await BoundedWait.UntilAsync(() => link.Metrics.Links == 1, "the link in the count");
        Assert.Equal(("up", 0), (link.Handler.Events, countedBefore));
    }

    [Fact]
    public async Task A_connecting_link_sends_hello_first()
    {
        using TestLink link = new(LinkOrigin.Connected, new LinkOptions { Name = "us", Secret = "s3", SocketBufferBytes = 0 });
        Assert.Equal("""0:{"op":"hello","version":1,"name":"us","secret":"s3","framing":"bytes","maxPacket":1048576}""", link.Receive());
        Assert.Equal("", link.Handler.Events);
        link.Send(0, Welcome);
        await link.HandledAsync("up");
    }

    [Fact]
    public async Task A_link_without_a_hello_is_plain_and_gets_no_control_packets()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(7, "hi");
        await link.HandledAsync("up, 7:hi");
        Assert.False(link.Link.HasControl);
        Assert.True(link.Link.TryWrite(Megaphone.Protocol.SessionControl.Pause(7)));
        Assert.True(link.Link.TryWrite(9, "x"u8));
        link.Link.Flush();
        Assert.Equal("9:x", link.Receive());
    }

    [Theory]
    [InlineData(null, "the secret is missing or wrong")]
    [InlineData("wrong", "the secret is missing or wrong")]
    [InlineData("s", "the secret is missing or wrong")]
    public async Task A_wrong_secret_is_refused_with_a_reason(string? secret, string reason)
    {
        using TestLink link = new(LinkOrigin.Accepted, new LinkOptions { Name = "us", Secret = "s3", SocketBufferBytes = 0 });
        string member = secret is null ? "" : $""","secret":"{secret}" """;
        link.Send(0, $$"""{"op":"hello","version":1{{member}}}""");
        Assert.Equal($$"""0:{"op":"refuse","reason":"{{reason}}"}""", link.Receive());
        Assert.Equal("end", link.Receive());
        await link.OverAsync();
        Assert.Equal("", link.Handler.Events);
        Assert.Equal(1, link.Metrics.Refused(RefusalReason.Hello));
        Assert.Equal(0, link.Metrics.Links);
    }

    [Fact]
    public async Task A_name_cannot_forge_a_log_line()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, """{"op":"hello","version":1,"name":"a\n\u001b[2Jb\u2028c\u202ed\ud83d\ude00e"}""");
        await link.HandledAsync("up");
        Assert.Contains(": a??[2Jb?c?d??e, control", Assert.Single(link.Log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repeated_drain_is_logged_once()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        for (int i = 0; i < 100; i++) link.Send(0, """{"op":"drain","after":0}""");
        link.Send(7, "hi");
        await BoundedWait.UntilAsync(() => link.Handler.Events.EndsWith("7:hi", StringComparison.Ordinal), "all of them");
        Assert.Single(link.Log.Lines, line => line.Contains("is draining", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Another_version_is_refused()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, """{"op":"hello","version":2}""");
        Assert.Equal("""0:{"op":"refuse","reason":"version 2 is not supported, only 1"}""", link.Receive());
        await link.OverAsync();
    }

    [Fact]
    public async Task A_plain_link_is_closed_when_a_secret_is_required()
    {
        using TestLink link = new(LinkOrigin.Accepted, new LinkOptions { Secret = "s3", SocketBufferBytes = 0 });
        link.Send(7, "hi");
        await link.OverAsync();
        Assert.Equal("", link.Handler.Events);
        Assert.Equal((1, 1), (link.Metrics.Refused(RefusalReason.Hello), link.Metrics.ProtocolErrors));
    }

    [Theory]
    [InlineData("""{"op":"ping","token":1}""", "ping before hello")]
    [InlineData("""{"op":"welcome","version":1}""", "welcome before hello")]
    [InlineData("nonsense", "must be one JSON object")]
    [InlineData("", "must be one JSON object")]
    public async Task Anything_but_a_hello_first_on_id_0_is_a_protocol_error(string content, string said)
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, content);
        await link.OverAsync();
        Assert.Equal(1, link.Metrics.ProtocolErrors);
        Assert.Contains(said, Assert.Single(link.Log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hello_that_is_not_first_is_a_protocol_error()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(7, "hi");
        link.Send(0, Hello);
        await link.OverAsync();
        Assert.Equal("up, 7:hi, down", link.Handler.Events);
        Assert.Equal(1, link.Metrics.ProtocolErrors);
        Assert.Equal(0, link.Metrics.Links);
    }

    [Fact]
    public async Task A_second_hello_is_a_protocol_error()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        link.Send(0, Hello);
        await link.OverAsync();
        Assert.Equal("up, down", link.Handler.Events);
        Assert.Equal(1, link.Metrics.ProtocolErrors);
    }

    [Theory]
    [InlineData("17")]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("""{"a":[1,2,{"b":"\u00e4"}]}""")]
    [InlineData("-1.5e300")]
    public void A_ping_is_answered_with_its_token(string token)
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        link.Receive();
        link.Send(0, $$"""{"op":"ping","token":{{token}}}""");
        Assert.Equal($$"""0:{"op":"pong","token":{{token}}}""", link.Receive());
    }

    [Fact]
    public void A_token_of_the_longest_control_packet_is_returned_unchanged()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        link.Receive();
        string token = new('x', 4096 - """{"op":"ping","token":""}""".Length);
        link.Send(0, $$"""{"op":"ping","token":"{{token}}"}""");
        Assert.Equal($$"""0:{"op":"pong","token":"{{token}}"}""", link.Receive());
    }

    [Fact]
    public async Task Unknown_ops_and_members_are_ignored_and_counted()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        link.Receive();
        link.Send(0, """{"op":"dance"}""");
        link.Send(0, """{"op":"pause","id":"7","why":"tired","color":1}""");
        await link.HandledAsync("up, pause 7");
        Assert.Equal(3, link.Metrics.ControlIgnored);
        Assert.Equal(0, link.Metrics.ProtocolErrors);
    }

    [Fact]
    public async Task Pause_resume_reset_and_drain_reach_the_handler()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        link.Send(0, """{"op":"pause","id":"7"}""");
        link.Send(0, """{"op":"resume","id":"7"}""");
        link.Send(0, """{"op":"reset","id":"18446744073709551615","reason":"x"}""");
        link.Send(0, """{"op":"drain","after":5}""");
        await link.HandledAsync("up, pause 7, resume 7, reset 18446744073709551615, drain");
        Assert.True(link.Link.Draining);
    }

    [Fact]
    public async Task A_refusal_ends_the_link_with_its_reason()
    {
        using TestLink link = new(LinkOrigin.Connected);
        link.Send(0, """{"op":"refuse","reason":"not you"}""");
        await link.OverAsync();
        Assert.Null(link.Connection.Link);
        Assert.Equal("refused by the other side: not you", link.Connection.CloseReason);
    }

    [Fact]
    public async Task Data_instead_of_a_welcome_is_a_protocol_error()
    {
        using TestLink link = new(LinkOrigin.Connected);
        link.Send(7, "hi");
        await link.OverAsync();
        Assert.Equal(1, link.Metrics.ProtocolErrors);
        Assert.Equal("", link.Handler.Events);
    }

    [Fact]
    public async Task Without_a_welcome_in_time_the_link_is_closed()
    {
        FakeTimeProvider time = new();
        using TestLink link = new(LinkOrigin.Connected, new LinkOptions { SocketBufferBytes = 0, Time = time }, TimeSpan.FromSeconds(5));
        link.Receive();
        time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(link.Running.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.1));
        await link.OverAsync();
        Assert.StartsWith("no answer to hello within 5 s", link.Connection.CloseReason, StringComparison.Ordinal);
        Assert.Null(link.Connection.Link);
    }

    [Fact]
    public async Task A_silent_link_is_pinged_and_closed_after_three_times_the_keep_alive_of_the_welcome()
    {
        FakeTimeProvider time = new();
        using TestLink link = new(LinkOrigin.Connected, new LinkOptions { SocketBufferBytes = 0, Time = time });
        link.Receive();
        link.Send(0, """{"op":"welcome","version":1,"keepAlive":20}""");
        await link.HandledAsync("up");
        for (int tens = 1; tens <= 6; tens++)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            Assert.Equal($$"""0:{"op":"ping","token":{{tens}}}""", link.Receive());
        }

        Assert.False(link.Running.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(10));
        await link.OverAsync();
        Assert.Equal("silent for 70.0 s, three times the keep-alive of 20 s", link.Connection.CloseReason);
        Assert.Equal("up, down", link.Handler.Events);
    }

    [Fact]
    public async Task A_link_that_answers_pings_stays()
    {
        FakeTimeProvider time = new();
        using TestLink link = new(LinkOrigin.Connected, new LinkOptions { SocketBufferBytes = 0, Time = time });
        link.Receive();
        link.Send(0, """{"op":"welcome","version":1,"keepAlive":20}""");
        await link.HandledAsync("up");
        for (int tens = 1; tens <= 20; tens++)
        {
            long received = link.Metrics.PacketsIn;
            time.Advance(TimeSpan.FromSeconds(10));
            link.Send(0, link.Receive()[2..].Replace("ping", "pong", StringComparison.Ordinal));
            await BoundedWait.UntilAsync(() => link.Metrics.PacketsIn > received, "the pong");
        }

        // The clock has stood still meanwhile. An answer to a question that nobody has asked is not counted.
        link.Send(0, """{"op":"pong","token":20}""");
        link.Send(7, "hi");
        await link.HandledAsync("up, 7:hi");
        Assert.Equal((20, 0), (link.Metrics.RoundTrips.Count(0), link.Metrics.RoundTrips.Sum));
        Assert.Equal("", link.Connection.CloseReason);
    }

    [Fact]
    public async Task A_plain_link_may_be_silent_and_gets_no_control_packet()
    {
        FakeTimeProvider time = new();
        using TestLink link = new(LinkOrigin.ConnectedPlain, new LinkOptions { SocketBufferBytes = 0, Time = time });
        await link.HandledAsync("up");
        for (int minutes = 1; minutes <= 60; minutes++) time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(link.Link.TryWrite(7, "hi"u8));
        link.Link.Flush();
        Assert.Equal("7:hi", link.Receive());
        Assert.False(link.Running.IsCompleted);
    }

    [Theory]
    [InlineData(32, 1)]
    [InlineData(1032, 1000)]
    [InlineData(int.MaxValue, 64 << 10)]
    public async Task The_other_sides_maxPacket_bounds_content(int maxPacket, int content)
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, $$"""{"op":"hello","version":1,"maxPacket":{{maxPacket}}}""");
        await link.HandledAsync("up");
        Assert.Equal(content, link.Link.MaxContent);
    }

    [Fact]
    public async Task The_longest_content_fits_into_an_empty_ring_of_any_size()
    {
        using TestLink link = new(
            LinkOrigin.Accepted,
            new LinkOptions { MaxPacketBytes = 32 << 10, RingBytes = 64 << 10, SocketBufferBytes = 0 });
        link.Send(0, Hello);
        await link.HandledAsync("up");
        Assert.True(link.Link.TryClaim(link.Link.MaxContent, out _));
    }

    [Fact]
    public async Task A_malformed_header_ends_the_link_with_one_line_and_one_count()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(7, "hi");
        link.Peer.Send("0000000031|00000000000000000007|"u8);
        await link.OverAsync();
        Assert.Equal("up, 7:hi, down", link.Handler.Events);
        Assert.Equal(1, link.Metrics.ProtocolErrors);
        Assert.Contains("protocol error", link.Log.Lines[^1], StringComparison.Ordinal);
        Assert.Equal(2, link.Log.Lines.Length);
    }

    [Fact]
    public async Task After_an_orderly_end_what_was_queued_is_sent_and_our_direction_ends()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        Assert.True(link.Link.TryWrite(7, "last"u8));
        link.Peer.Shutdown(SocketShutdown.Send);
        Assert.Equal("7:last", link.Receive());
        Assert.Equal("end", link.Receive());
        await link.OverAsync();
        Assert.Equal("up, down", link.Handler.Events);
    }

    [Fact]
    public async Task An_end_in_the_middle_of_a_packet_is_the_logged_reason()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        link.Peer.Send("0000000041|00000000000000000007|PRES"u8);
        link.Peer.Shutdown(SocketShutdown.Send);
        await link.OverAsync();
        Assert.Equal("ended by the other side in the middle of a packet, 36 bytes into it", link.Connection.CloseReason);
        Assert.Equal("up, down", link.Handler.Events);
    }

    [Fact]
    public async Task Draining_sends_all_ends_our_direction_and_waits_for_the_other()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        for (ulong id = 1; id <= 100; id++) Assert.True(link.Link.TryWrite(id, "x"u8));
        Task draining = link.Connection.DrainAsync(CancellationToken.None);
        for (ulong id = 1; id <= 100; id++) Assert.Equal($"{id}:x", link.Receive());
        Assert.Equal("end", link.Receive());
        Assert.False(draining.IsCompleted);

        link.Send(7, "still there");
        link.Peer.Shutdown(SocketShutdown.Send);
        await BoundedWait.WithinAsync(draining, "the drained link");
        Assert.Equal("up, 7:still there, down", link.Handler.Events);
        Assert.Equal("shutting down", link.Connection.CloseReason);
        Assert.Equal(0, link.Metrics.Links);
    }

    [Fact]
    public async Task Draining_ends_at_its_deadline_when_the_other_side_does_not()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        using CancellationTokenSource deadline = new(100);
        await BoundedWait.WithinAsync(link.Connection.DrainAsync(deadline.Token), "the drained link");
        Assert.Equal("up, down", link.Handler.Events);
    }

    [Fact]
    public async Task Draining_a_link_that_has_ended_ends_at_once()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        link.Connection.Close("enough");
        await link.OverAsync();
        await BoundedWait.WithinAsync(link.Connection.DrainAsync(CancellationToken.None), "the drained link");
        Assert.Equal("enough", link.Connection.CloseReason);
    }

    [Fact]
    public async Task A_packet_that_found_no_room_is_repeated_when_there_is_room()
    {
        using TestLink link = new(
            LinkOrigin.ConnectedPlain,
            new LinkOptions { RingBytes = 64 << 10, MaxPacketBytes = 32 << 10, SocketBufferBytes = 0 });
        bool room = false;
        link.Handler.Accepts = id => id != 8 || Volatile.Read(ref room);
        List<RingClaim> claims = [];
        while (link.Link.TryClaim(1000, out RingClaim claim)) claims.Add(claim);
        link.Send(7, "a");
        link.Send(8, "b");
        link.Send(9, "c");
        await link.HandledAsync("up, 7:a");
        await Task.Delay(30);
        Volatile.Write(ref room, true);
        foreach (RingClaim claim in claims) claim.Release();
        await link.HandledAsync("up, 7:a, 8:b, 9:c");
        await BoundedWait.UntilAsync(() => link.Handler.WritableCalls == 1, "the handler's own notice");
    }

    [Fact]
    public async Task Closing_a_link_that_waits_for_room_ends_it()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        link.Handler.Accepts = id => id != 8;
        link.Send(7, "a");
        link.Send(8, "b");
        await link.HandledAsync("up, 7:a");
        link.Connection.Close("enough");
        await link.OverAsync();
        Assert.Equal("up, 7:a, down", link.Handler.Events);
    }

    [Fact]
    public async Task An_exception_in_a_handler_ends_that_link_and_is_logged()
    {
        using TestLink link = new(LinkOrigin.ConnectedPlain);
        link.Handler.Accepts = _ => throw new InvalidOperationException("on purpose");
        link.Send(7, "a");
        await BoundedWait.WithinAsync(link.Running, "the end of the link");
        Assert.Contains(link.Log.Lines, line => line.Contains("on purpose", StringComparison.Ordinal));
        Assert.Equal("up, down", link.Handler.Events);
    }
}
