using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>The hub's side of a link, against the text of the link protocol.</summary>
public sealed class HubProtocolTests
{
    [Fact]
    public async Task Data_sent_on_an_id_is_echoed_on_that_id()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        foreach (ulong id in new[] { 1UL, 7UL, 4_294_967_296UL, ulong.MaxValue })
            await link.AssertEchoesAsync(id, $"PRESENCE! from {id}");
        await hub.HasSessionsAsync(4);
    }

    [Fact]
    public async Task Many_packets_in_one_segment_and_one_packet_in_many_segments_are_all_read()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        byte[] hundred = [.. Enumerable.Range(0, 100).SelectMany(number => Packet.Format(5, number.ToString("D3", CultureInfo.InvariantCulture)))];
        await link.SendRawAsync(hundred);
        foreach (byte one in hundred) await link.SendRawAsync(new[] { one });

        string numbers = string.Concat(Enumerable.Range(0, 100).Select(number => number.ToString("D3", CultureInfo.InvariantCulture)));
        Assert.Equal(numbers + numbers, Encoding.ASCII.GetString(await link.ReceiveBytesAsync(5, 600)));
    }

    [Fact]
    public async Task An_empty_packet_ends_one_direction_and_the_session_is_over_when_both_have_ended()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendAsync(7, "last words");
        await link.SendEndAsync(7);

        Assert.Equal("last words", Encoding.ASCII.GetString(await link.ReceiveToEndAsync(7)));
        await hub.HasClosedAsync(1, "hub", "ended");
        await hub.HasSessionsAsync(0);
    }

    [Fact]
    public async Task An_empty_packet_on_an_unknown_id_opens_a_session_and_ends_it()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendEndAsync(9);

        await link.AssertEndAsync(9);
        await hub.ReachesAsync(1, "megaphone_sessions_opened_total", "role=hub");
        await hub.HasClosedAsync(1, "hub", "ended");
    }

    [Fact]
    public async Task Packets_after_the_end_of_a_session_are_dropped_and_counted()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(3, "a");
        await link.SendEndAsync(3);
        await link.ReceiveToEndAsync(3);

        await link.SendAsync(3, "too late");
        await link.SendEndAsync(3);

        await hub.ReachesAsync(2, "megaphone_dropped_packets_total", "role=hub", "reason=session_over");
        await link.AssertEchoesAsync(4);
        MetricsSnapshot metrics = await hub.MetricsAsync();
        Assert.Equal(2, metrics["megaphone_sessions_opened_total", "role=hub"]);
        Assert.Equal(0, metrics["megaphone_protocol_errors_total", "role=hub"]);
    }

    [Fact]
    public async Task Packets_after_the_ECMs_end_and_before_the_hubs_are_dropped_too()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(3, "a");
        using TestConnection session = await backend.AcceptAsync();
        await link.SendEndAsync(3);

        await link.SendAsync(3, "I have not ended at all");

        await hub.ReachesAsync(1, "megaphone_dropped_packets_total", "role=hub", "reason=session_over");
        Assert.Equal("a", Encoding.ASCII.GetString(await session.ReceiveToEndAsync()));
    }

    [Theory]
    [InlineData("""{"op":"ping","token":1}""")]
    [InlineData("""{"op":"nobody-knows-this"}""")]
    [InlineData("")]
    public async Task A_control_packet_before_a_hello_closes_the_link(string content)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendControlAsync(content);

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
    }

    [Fact]
    public async Task A_hello_that_is_not_the_first_packet_closes_the_link()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.AssertEchoesAsync(1);

        await link.SendControlAsync(LinkPeer.Hello());

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
        await hub.HasClosedAsync(1, "hub", "link_lost");
        await hub.HasSessionsAsync(0);
    }

    [Fact]
    public async Task A_second_hello_closes_the_link()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendControlAsync(LinkPeer.Hello());

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
    }

    [Fact]
    public async Task A_hello_is_welcomed_with_what_the_hub_accepts()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(
            "Hub:MaxPacketBytes=100000", "Hub:Name=hub-7", "Service:KeepAlive=00:00:20");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendControlAsync(LinkPeer.Hello());

        JsonElement welcome = await link.ReceiveControlAsync();
        Assert.Equal("welcome", welcome.GetProperty("op").GetString());
        Assert.Equal(1, welcome.GetProperty("version").GetInt32());
        Assert.Equal("hub-7", welcome.GetProperty("name").GetString());
        Assert.Equal(100_000, welcome.GetProperty("maxPacket").GetInt32());
        Assert.Equal(20, welcome.GetProperty("keepAlive").GetInt32());
    }

    [Theory]
    [InlineData("a wrong secret")]
    [InlineData(null)]
    public async Task A_hello_without_the_right_secret_is_refused(string? secret)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open sesame");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendControlAsync(LinkPeer.Hello(secret));

        JsonElement refusal = await link.ReceiveControlAsync();
        Assert.Equal("refuse", refusal.GetProperty("op").GetString());
        Assert.NotEqual("", refusal.GetProperty("reason").GetString());
        await link.AssertClosesAsync();
        await hub.ReachesAsync(1, "megaphone_refused_total", "role=hub", "reason=hello");
        await hub.ComplainsAsync(1);
        Assert.DoesNotContain(hub.Process.Output, line => line.Contains("sesame", StringComparison.Ordinal));
        Assert.DoesNotContain(hub.Process.Output, line => line.Contains("a wrong secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_hello_with_the_right_secret_is_welcomed()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open sesame");
        using LinkPeer link = await LinkPeer.EcmAsync(hub, "open sesame");

        await link.AssertEchoesAsync(1);
    }

    [Fact]
    public async Task When_a_secret_is_required_a_link_without_a_hello_opens_nothing()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open sesame");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendAsync(1, "let me in");

        // There is no control on a link without hello, so nothing is sent before the end.
        await link.AssertClosesAsync();
        await hub.ReachesAsync(1, "megaphone_refused_total", "role=hub", "reason=hello");
        await hub.ComplainsAsync(1, "secret");
        Assert.Equal(0, (await hub.MetricsAsync())["megaphone_sessions_opened_total", "role=hub"]);
    }

    [Fact]
    public async Task When_a_secret_is_required_a_first_packet_longer_than_any_hello_is_refused_at_its_header()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open sesame");
        using LinkPeer longest = await LinkPeer.PlainEcmAsync(hub);
        await longest.SendRawAsync("0000004128|00000000000000000000|"u8.ToArray());
        await longest.AssertStaysSilentAsync();

        using LinkPeer longer = await LinkPeer.PlainEcmAsync(hub);
        await longer.SendRawAsync("0000004129|00000000000000000000|"u8.ToArray());

        await longer.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
        await hub.ComplainsAsync(1, "offset 0");
    }

    [Fact]
    public async Task A_long_packet_may_directly_follow_the_hello_with_the_secret()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open sesame");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        byte[] content = Sample.Bytes(20_000);

        byte[] hello = Packet.Format(0, LinkPeer.Hello("open sesame"));
        await link.SendRawAsync((byte[])[.. hello, .. Packet.Format(1, content)]);

        Assert.Equal("welcome", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        Sample.AssertSame(content, await link.ReceiveBytesAsync(1, content.Length));
    }

    [Fact]
    public async Task A_hello_of_another_version_is_refused()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        await link.SendControlAsync(LinkPeer.Hello(version: 2));

        Assert.Equal("refuse", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        await link.AssertClosesAsync();
        await hub.ReachesAsync(1, "megaphone_refused_total", "role=hub", "reason=hello");
    }

    [Theory]
    [MemberData(nameof(MalformedHeaders.All), MemberType = typeof(MalformedHeaders))]
    public async Task A_malformed_header_closes_the_link_with_one_log_line_that_says_where(string what, string header)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer bystander = await LinkPeer.PlainEcmAsync(hub);
        await bystander.AssertEchoesAsync(7);
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.AssertEchoesAsync(7, "0123456789");

        await link.SendRawAsync(Encoding.ASCII.GetBytes(header));

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
        // The header's offset: one packet of 42 bytes came before it.
        Assert.True(hub.Complaints().Single().Contains("offset 42", StringComparison.Ordinal), $"{what}: {hub.Complaints().Single()}");
        // The header is shown up to the byte that made it malformed, which is the first one in some of these.
        Assert.Contains($"received \"{header[..1]}", hub.Complaints().Single());
        await hub.HasClosedAsync(1, "hub", "link_lost");
        await bystander.AssertEchoesAsync(7);
    }

    [Fact]
    public async Task The_longest_packet_passes_and_one_byte_more_does_not()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:MaxPacketBytes=4096");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        byte[] longest = Sample.Bytes(4096 - Packet.HeaderSize);

        await link.SendAsync(1, longest);
        Sample.AssertSame(longest, await link.ReceiveBytesAsync(1, longest.Length));
        await link.SendAsync(1, Sample.Bytes(4097 - Packet.HeaderSize));

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(32)]
    [InlineData(500)]
    public async Task A_link_that_breaks_in_the_middle_of_a_packet_ends_its_own_sessions_only(int sent)
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        int idle = await hub.IdleDescriptorsAsync();
        using LinkPeer bystander = await LinkPeer.PlainEcmAsync(hub);
        await bystander.SendAsync(1, "mine");
        using TestConnection other = await backend.AcceptAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(1, "whole");
        using TestConnection session = await backend.AcceptAsync();
        Assert.Equal("whole", await session.ReceiveTextAsync(5));

        await link.SendRawAsync(Packet.Format(1, Sample.Bytes(1000)).AsMemory(0, sent));
        link.Dispose();

        await session.AssertIsGoneAsync();
        await hub.HasClosedAsync(1, "hub", "link_lost");
        await hub.HasLinksAsync(1, "hub");
        await bystander.SendAsync(1, " and only mine");
        Assert.Equal("mine and only mine", await other.ReceiveTextAsync(18));
        bystander.Dispose();
        await hub.HasSessionsAsync(0);
        await hub.DescriptorsAreBackToAsync(idle);
    }

    [Fact]
    public async Task Unknown_ops_and_members_are_ignored_and_counted()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendControlAsync("""{"op":"dance"}""");
        await link.SendControlAsync("""{"op":"ping","token":1,"mood":"good"}""");

        Assert.Equal("pong", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        await hub.ReachesAsync(2, "megaphone_control_ignored_total", "role=hub");
        Assert.Equal(0, (await hub.MetricsAsync())["megaphone_protocol_errors_total", "role=hub"]);
    }

    [Theory]
    [InlineData("12")]
    [InlineData("\"a word\"")]
    [InlineData("""{"a":[1,null]}""")]
    public async Task A_ping_is_answered_with_its_own_token(string token)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendControlAsync($$"""{"op":"ping","token":{{token}}}""");

        JsonElement pong = await link.ReceiveControlAsync();
        Assert.Equal("pong", pong.GetProperty("op").GetString());
        Assert.Equal(token, pong.GetProperty("token").GetRawText());
    }

    [Theory]
    [InlineData("no JSON at all")]
    [InlineData("[1]")]
    [InlineData("""{"token":1}""")]
    [InlineData("""{"op":7}""")]
    [InlineData("""{"op":"pause"}""")]
    [InlineData("""{"op":"pause","id":"-1"}""")]
    [InlineData("""{"op":"ping","token":1} """ + "\0")]
    public async Task A_malformed_control_packet_closes_the_link(string content)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendControlAsync(content);

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
    }

    [Fact]
    public async Task A_control_packet_may_have_4096_bytes_and_no_more()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        const string Frame = """{"op":"ping","token":""}""";

        await link.SendControlAsync(Frame.Insert(Frame.Length - 2, new string('x', 4096 - Frame.Length)));
        Assert.Equal("pong", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        await link.SendControlAsync(Frame.Insert(Frame.Length - 2, new string('x', 4097 - Frame.Length)));

        await link.AssertClosesAsync();
        await AssertOneProtocolErrorAsync(hub);
    }

    [Fact]
    public async Task A_link_that_is_silent_for_three_KeepAlive_is_dead()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Service:KeepAlive=00:00:01");
        using LinkPeer answering = await LinkPeer.EcmAsync(hub);
        using LinkPeer silent = await LinkPeer.EcmAsync(hub);
        silent.AnswersPings = false;
        Task<Packet> answers = answering.ReceiveAsync();

        Packet ping = await silent.ReceiveAsync();
        Assert.Equal("ping", ping.Json.GetProperty("op").GetString());
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (true) await silent.ReceiveAsync();
        });

        await hub.HasLinksAsync(1, "hub");
        Assert.False(answers.IsCompleted, "The link that answers was closed too.");
        await answering.SendAsync(1, "still here");
        Assert.Equal("still here", (await answers).Text);
    }

    [Fact]
    public async Task Sessions_above_MaxSessions_are_reset_one_by_one()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:MaxSessions=2");
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        using LinkPeer plain = await LinkPeer.PlainEcmAsync(hub);
        await link.AssertEchoesAsync(1);
        await plain.AssertEchoesAsync(1);

        await link.SendAsync(2, "one too many");
        await link.AssertControlAsync("reset", 2);
        await plain.SendAsync(2, "one too many");
        await plain.AssertEndAsync(2);

        await hub.HasClosedAsync(2, "hub", "too_many_sessions");
        await hub.HasSessionsAsync(2);
        // The counts add up: a session that was refused has been opened and closed.
        MetricsSnapshot metrics = await hub.MetricsAsync();
        Assert.Equal(2, metrics["megaphone_sessions_opened_total", "role=hub"] - metrics["megaphone_sessions_closed_total", "role=hub"]);
        await link.SendEndAsync(1);
        await link.AssertEndAsync(1);
        await hub.HasSessionsAsync(1);
        await plain.AssertEchoesAsync(3);
    }

    [Fact]
    public async Task Links_above_MaxLinks_are_rejected()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:MaxLinks=1");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.AssertEchoesAsync(1);

        using LinkPeer second = await LinkPeer.PlainEcmAsync(hub);
        await second.AssertClosesAsync();
        await hub.ReachesAsync(1, "megaphone_refused_total", "role=hub", "reason=too_many");

        await link.AssertEchoesAsync(1);
        link.Dispose();

        // A link has its place until all that is to be done for it has been done, which is a moment longer than it counts.
        await BoundedWait.UntilAsync(() => IsTakenAsync(hub), () => "the place of the link that has gone");
    }

    private static async Task<bool> IsTakenAsync(MegaphoneProcess hub)
    {
        using LinkPeer another = await LinkPeer.PlainEcmAsync(hub);
        try
        {
            await another.AssertEchoesAsync(1);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    [Fact]
    public async Task Silent_connections_keep_no_link_out()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:MaxLinks=3");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.AssertEchoesAsync(1);
        List<LinkPeer> silent = [];
        for (int i = 0; i < 20; i++) silent.Add(await LinkPeer.PlainEcmAsync(hub));

        using LinkPeer another = await LinkPeer.PlainEcmAsync(hub);

        await another.AssertEchoesAsync(1);
        await link.AssertEchoesAsync(1);
        silent.ForEach(one => one.Dispose());
    }

    [Fact]
    public async Task The_same_id_on_two_links_is_two_sessions()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer one = await LinkPeer.EcmAsync(hub);
        using LinkPeer other = await LinkPeer.PlainEcmAsync(hub);

        await one.AssertEchoesAsync(7, "one");
        await other.AssertEchoesAsync(7, "other");
        await one.SendEndAsync(7);
        await one.AssertEndAsync(7);

        await other.AssertEchoesAsync(7, "other again");
        await hub.HasSessionsAsync(1);
    }

    [Theory]
    [InlineData(0, 200)]
    [InlineData(1, 60)]
    [InlineData(31, 400)]
    [InlineData(33, 400)]
    public async Task An_ECM_that_supports_only_the_original_format_is_served(int cut, int size)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using ChildProcess ecm = PythonPeer.Start("plain_ecm.py", hub.Hub.ToString(),
            "--sessions", "20", "--packets", "50", "--cut", $"{cut}", "--size", $"{size}");

        JsonElement report = await ecm.ReportAsync();

        Assert.Equal(20, report.GetProperty("same").GetInt32());
        MetricsSnapshot metrics = await hub.MetricsAsync();
        Assert.Equal(1000, metrics["megaphone_link_packets_total", "role=hub", "direction=in"]);
        Assert.Equal(
            report.GetProperty("bytes").GetInt64() + 1000 * Packet.HeaderSize,
            metrics["megaphone_link_bytes_total", "role=hub", "direction=in"]);
        await hub.HasSessionsAsync(0);
        await hub.HasClosedAsync(20, "hub", "link_lost");
    }

    private static async Task AssertOneProtocolErrorAsync(MegaphoneProcess hub)
    {
        await hub.ReachesAsync(1, "megaphone_protocol_errors_total", "role=hub");
        await hub.ComplainsAsync(1);
    }
}
