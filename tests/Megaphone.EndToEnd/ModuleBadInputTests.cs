using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>Bad input on the module's listener affects only its sender, and takes no memory.</summary>
public sealed class ModuleBadInputTests(ModuleServer server) : IClassFixture<ModuleServer>, IAsyncLifetime, IDisposable
{
    /// <summary>The memory that bad input may leave in use, after garbage collection: tables that have grown, not the input.</summary>
    private const long MemoryBound = 8 << 20;

    private StanzaEcm _bystander = null!;
    private readonly CancellationTokenSource _end = new();
    private Task _bystanding = null!;
    private XmppClient _one = null!;
    private XmppClient _other = null!;
    private int _said;
    private int _complaints;
    private long _memory;
    private long _processes;
    private long _protocolErrors;

    /// <summary>Two users on a link of their own that keep exchanging messages throughout a test.</summary>
    public async Task InitializeAsync()
    {
        _bystander = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        _one = _bystander.Open().Client;
        _other = _bystander.Open().Client;
        await _one.LogInAsync();
        await _other.LogInAsync();
        await server.Ejabberd.ForgetLogLimitsAsync();
        _complaints = server.Ejabberd.Complaints.Count;
        _protocolErrors = await CounterAsync("protocol_errors");
        _memory = await server.Ejabberd.MemoryAsync();
        _processes = await server.Ejabberd.NumberAsync("length(processes())");
        _bystanding = BystandAsync();
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _end.Dispose();
        _bystander.Dispose();
    }

    [Fact]
    public async Task Random_bytes_end_that_link_and_the_first_few_are_logged()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            using LinkPeer link = await PlainLinkAsync();
            byte[] noise = Sample.Bytes(1000, seed);
            noise[0] |= 0x80;
            await link.SendRawAsync(noise);
            await link.AssertClosesAsync();
        }

        await AssertProtocolErrorsAsync(20, "offset 0");
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_million_digits_end_that_link_at_the_first_header()
    {
        using LinkPeer link = await PlainLinkAsync();
        try
        {
            await link.SendRawAsync(Encoding.ASCII.GetBytes(new string('9', 1_000_000)));
        }
        catch (SocketException)
        {
            // It was not waited for the rest.
        }

        await link.AssertClosesAsync();
        await AssertProtocolErrorsAsync(1, "offset 0");
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_malformed_header_closes_the_link_with_one_log_line_that_says_where()
    {
        foreach (object[] malformed in MalformedHeaders.All)
        {
            (string what, string header) = ((string)malformed[0], (string)malformed[1]);
            using StanzaEcm link = await StanzaEcm.ConnectPlainAsync(server.Ejabberd.LinkListener);
            (XmppClient client, _) = link.Open();
            await client.LogInAsync();
            await server.Ejabberd.ForgetLogLimitsAsync();
            // The offset of the header: everything that the client sent is before it.
            int offset = link.Link.BytesSent, complaints = server.Ejabberd.Complaints.Count;

            await link.Link.SendRawAsync(Encoding.ASCII.GetBytes(header));

            await BoundedWait.WithinAsync(link.Reading, $"the end of the link: {what}");
            await BoundedWait.UntilAsync(() => server.Ejabberd.Complaints.Count > complaints, $"a line in the log: {what}");
            Assert.Contains($"offset {offset}", server.Ejabberd.Complaints[complaints], StringComparison.Ordinal);
        }

        await AssertProtocolErrorsAsync(MalformedHeaders.All.Count, "offset", MalformedHeaders.All.Count);
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Headers_that_announce_long_packets_take_no_memory()
    {
        List<LinkPeer> links = [];
        for (int i = 0; i < 100; i++)
        {
            LinkPeer link = await PlainLinkAsync();
            links.Add(link);
            await link.SendRawAsync("0001048576|00000000000000000001|and no more"u8.ToArray());
        }

        await server.Ejabberd.ComesToAsync("101", "length(maps:get(links, ejabberd_megaphone:info()))");
        // A hundred times 1 MiB is promised.
        Assert.InRange(await server.Ejabberd.MemoryAsync() - _memory, long.MinValue, 16 << 20);
        links.ForEach(link => link.Dispose());
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Headers_cut_short_and_packets_that_are_too_long_end_only_their_links()
    {
        for (int length = 1; length < Packet.HeaderSize; length++)
        {
            using LinkPeer cut = await PlainLinkAsync();
            await cut.SendRawAsync(Packet.Format(1, "x").AsMemory(0, length));
        }

        using LinkPeer oversized = await PlainLinkAsync();
        await oversized.SendRawAsync("0001048577|00000000000000000001|"u8.ToArray());
        await oversized.AssertClosesAsync();

        await AssertProtocolErrorsAsync(1, "offset 0");
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Single_bytes_make_a_session()
    {
        using LinkPeer link = await PlainLinkAsync();

        foreach (byte one in Packet.Format(
            77, "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"))
        {
            await link.SendRawAsync(new[] { one });
            await Task.Delay(1);
        }

        string answer = "";
        while (!answer.EndsWith("</stream:features>", StringComparison.Ordinal))
        {
            Packet packet = await link.ReceiveAsync();
            Assert.Equal(77UL, packet.Id);
            answer += packet.Text;
        }

        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Hundreds_of_links_that_connect_and_reset_leave_nothing_behind()
    {
        for (int i = 0; i < 600; i++)
        {
            using LinkPeer link = await PlainLinkAsync();
            // Silent ones, ones with a session that has begun, and ones that have ended their direction.
            if (i % 3 == 1) await link.SendAsync((ulong)i, "<stream:stream to='localhost'>");
            if (i % 3 == 2) link.EndSending();
            link.Abort();
        }

        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Half_open_links_time_out()
    {
        for (int i = 0; i < 50; i++)
        {
            using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
            (XmppClient client, _) = link.Open();
            await client.OpenAsync();
            link.Link.EndSending();
            await BoundedWait.WithinAsync(link.Reading, "the end of the other direction");
        }

        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_flood_of_sessions_that_end_at_once_is_answered_and_freed()
    {
        using LinkPeer link = await PlainLinkAsync();
        for (ulong id = 1; id <= 20_000; id += 100)
        {
            await link.SendRawAsync(Enumerable.Range(0, 100).SelectMany(i => Packet.Format(id + (ulong)i, "")).ToArray());
            for (int i = 0; i < 100; i++) Assert.True((await link.ReceiveAsync()).IsEnd);
        }

        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    /// <summary>Packets that are not one complete piece of a stream.</summary>
    private static readonly (string What, string Piece)[] Pieces =
    [
        ("half an element", "<message to='localhost'><body>half"),
        ("half a tag", "<message to='localhost"),
        ("two elements", "<presence/><presence/>"),
        ("an element and text", "<presence/>text"),
        ("an element and half another", "<presence/><message"),
        ("text alone", "hello"),
        ("a closing tag too many", "<presence/></stream:stream>"),
        ("a closing tag of something else", "</presence>"),
        ("tags that do not match", "<message><body></message></body>"),
        ("an entity that is not defined", "<message><body>&bomb;</body></message>"),
        ("a bomb of entities",
            "<!DOCTYPE b [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
            + "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><message><body>&c;</body></message>"),
        ("an external entity", "<!DOCTYPE b [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><message><body>&x;</body></message>"),
        ("a prefix that is not declared", "<x:message/>"),
        ("an attribute twice", "<message to='a' to='b'/>"),
        ("a control character", "<message><body>\u0001</body></message>"),
        ("a stream within a stream",
            "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"),
    ];

    [Fact]
    public async Task A_packet_that_is_not_a_complete_piece_ends_its_session_with_a_stream_error()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient neighbour, _) = link.Open();
        await neighbour.LogInAsync();
        foreach ((string what, string piece) in Pieces)
        {
            (XmppClient offender, _) = link.Open();
            await offender.LogInAsync();

            await offender.SendAsync(piece);

            string last = await offender.ReceiveToEndAsync();
            Assert.True(last.Contains("<stream:error>", StringComparison.Ordinal), $"{what}: {last}");
            Assert.EndsWith("</stream:stream>", last, StringComparison.Ordinal);
            await neighbour.SettleAsync();
        }

        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Bytes_that_are_not_UTF_8_end_their_session()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient offender, _) = link.Open();
        await offender.LogInAsync();

        await offender.SendAsync([.. "<message><body>"u8, 0xC3, 0x28, 0xFF, .. "</body></message>"u8]);

        Assert.Contains("<stream:error>", await offender.ReceiveToEndAsync(), StringComparison.Ordinal);
        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_stanza_above_max_stanza_size_ends_its_session()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient offender, _) = link.Open();
        await offender.LogInAsync();

        await offender.SendMessageAsync("localhost", new string('x', 300_000));

        Assert.Contains("policy-violation", await offender.ReceiveToEndAsync(), StringComparison.Ordinal);
        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Elements_nested_as_deep_as_the_stanza_limit_allows_do_no_harm()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient neighbour, _) = link.Open();
        await neighbour.LogInAsync();
        for (int i = 0; i < 5; i++)
        {
            (XmppClient offender, _) = link.Open();
            await offender.LogInAsync();
            await offender.SendAsync(string.Concat(Enumerable.Repeat("<a>", 36_000)) + string.Concat(Enumerable.Repeat("</a>", 36_000)));
            await neighbour.SettleAsync();
        }

        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    /// <summary>Packets that begin like a PROXY header and are not one.</summary>
    private static readonly (string What, string Header)[] ProxyHeaders =
    [
        ("no addresses", "PROXY TCP4\r\n"),
        ("names for addresses", "PROXY TCP4 here there 1 2\r\n"),
        ("an address of the other family", "PROXY TCP4 ::1 ::1 1 2\r\n"),
        ("a port that is none", "PROXY TCP4 127.0.0.1 127.0.0.2 1 65536\r\n"),
        ("no end of line", "PROXY TCP4 127.0.0.1 127.0.0.2 1 2"),
        ("more than any header has", "PROXY TCP4 " + new string('1', 5000)),
        ("version 3 of the binary one", "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0C" + "012345678901"),
        ("addresses shorter than they say", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C" + "0123"),
        ("addresses too short for their family", "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x0C" + "012345678901"),
    ];

    [Fact]
    public async Task A_wrong_PROXY_header_resets_its_session_with_one_log_line()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient neighbour, _) = link.Open();
        await neighbour.LogInAsync();
        for (int i = 0; i < ProxyHeaders.Length; i++)
        {
            (string what, string header) = ProxyHeaders[i];
            (XmppClient offender, ulong id) = link.Open();
            await server.Ejabberd.ForgetLogLimitsAsync();

            await offender.SendAsync(Encoding.Latin1.GetBytes(header));

            JsonElement reset = await link.ControlAsync("reset", id);
            Assert.NotEqual("", reset.GetProperty("reason").GetString());
            await neighbour.SettleAsync();
            await BoundedWait.UntilAsync(() => NewComplaints().Count == i + 1, $"one line in the log: {what}");
            Assert.Contains("PROXY", NewComplaints()[i], StringComparison.Ordinal);
        }

        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_control_packet_other_than_hello_closes_a_link_before_its_hello()
    {
        string[] contents = ["""{"op":"ping","token":1}""", """{"op":"nobody-knows-this"}""", "", "{", "[]", """{"op":7}""", """{"op":"hello"}"""];
        foreach (string content in contents)
        {
            using LinkPeer link = await PlainLinkAsync();

            await link.SendControlAsync(content);

            await link.AssertClosesAsync();
        }

        await AssertProtocolErrorsAsync(contents.Length);
        await AssertNothingElseSufferedAsync();
    }

    [Theory]
    [InlineData(2, "stanza")]
    [InlineData(1, "bytes")]
    public async Task A_hello_of_another_version_or_framing_is_refused(int version, string framing)
    {
        using LinkPeer link = await PlainLinkAsync();

        await link.SendControlAsync(LinkPeer.Hello(version: version, framing: framing));

        JsonElement refusal = await link.ReceiveControlAsync();
        Assert.Equal("refuse", refusal.GetProperty("op").GetString());
        Assert.NotEqual("", refusal.GetProperty("reason").GetString());
        await link.AssertClosesAsync();
        await BoundedWait.UntilAsync(() => NewComplaints().Count == 1, "one line in the log");
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_second_hello_or_control_that_is_not_JSON_closes_the_link_and_its_sessions()
    {
        foreach (string content in new[] { LinkPeer.Hello(framing: "stanza"), "no JSON", new string('[', 4000), "\"" + new string('x', 5000) + "\"" })
        {
            using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
            (XmppClient client, _) = link.Open();
            await client.LogInAsync();
            await link.Link.SendControlAsync(content);
            await BoundedWait.WithinAsync(link.Reading, "the end of the link");
        }

        await AssertProtocolErrorsAsync(4);
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Packets_for_ended_ids_are_dropped_and_counted()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        long dropped = await CounterAsync("packets_dropped"), opened = await CounterAsync("sessions_opened");
        (XmppClient client, ulong id) = link.Open();
        await client.LogInAsync();
        await client.LogOutAsync();
        await client.ReceiveToEndAsync();

        for (int i = 0; i < 10; i++) await client.SendAsync("<presence/>");
        await link.Link.SendEndAsync(id);
        foreach (string op in new[] { "pause", "resume", "reset" })
        {
            await link.Link.SendControlAsync($$"""{"op":"{{op}}","id":"{{id}}"}""");
            await link.Link.SendControlAsync($$"""{"op":"{{op}}","id":"18446744073709551615"}""");
        }

        (XmppClient next, _) = link.Open();
        await next.LogInAsync();
        // The empty packet, with which every ECM answers the end of a session, is nothing that was lost.
        Assert.Equal(dropped + 10, await CounterAsync("packets_dropped"));
        Assert.Equal(opened + 2, await CounterAsync("sessions_opened"));
        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    private Task<LinkPeer> PlainLinkAsync() => LinkPeer.PlainEcmAsync(server.Ejabberd.LinkListener);

    private Task<long> CounterAsync(string name) =>
        server.Ejabberd.NumberAsync($"proplists:get_value({name}, maps:get(counters, ejabberd_megaphone:info()))");

    private List<string> NewComplaints() => [.. server.Ejabberd.Complaints.Skip(_complaints)];

    /// <summary>This many links were closed for protocol errors since the test began, and the log has lines about the first few of them.</summary>
    private async Task AssertProtocolErrorsAsync(int count, string text = "", int? lines = null)
    {
        int told = lines ?? Math.Min(count, 5);
        long errors = 0;
        await BoundedWait.UntilAsync(
            async () => (errors = await CounterAsync("protocol_errors") - _protocolErrors) == count,
            () => $"{count} protocol errors, there are {errors}");
        await BoundedWait.UntilAsync(() => NewComplaints().Count >= told, "a line for each");
        Assert.Equal(told, NewComplaints().Count);
        Assert.All(NewComplaints(), line => Assert.Contains(text, line, StringComparison.Ordinal));
    }

    /// <summary>The other users were served all the time; sessions, processes, links and memory are as before.</summary>
    private async Task AssertNothingElseSufferedAsync()
    {
        int said = Volatile.Read(ref _said);
        await BoundedWait.UntilAsync(() => Volatile.Read(ref _said) > said + 3 || _bystanding.IsCompleted, "the bystanders' going on");
        await _end.CancelAsync();
        await _bystanding;
        await server.Ejabberd.ComesToAsync("2", "ets:info(session, size)");
        await server.Ejabberd.ComesToAsync("1", "length(maps:get(links, ejabberd_megaphone:info()))");
        long processes = 0, memory = 0;
        await BoundedWait.UntilAsync(
            async () => (processes = await server.Ejabberd.NumberAsync("length(processes())")) <= _processes,
            () => $"{_processes} processes, there are {processes}");
        await BoundedWait.UntilAsync(
            async () => (memory = await server.Ejabberd.MemoryAsync()) - _memory < MemoryBound, () => $"{_memory} bytes in use, there are {memory}");
        await _one.LogOutAsync();
        await _other.LogOutAsync();
    }

    private async Task BystandAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            await _one.SendMessageAsync(_other.Address, $"still here {_said}");
            await _other.ExpectAsync($"still here {_said}<");
            Interlocked.Increment(ref _said);
            await Task.Delay(10);
        }
    }
}
