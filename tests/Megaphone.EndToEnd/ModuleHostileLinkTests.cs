using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>Links and clients that are out to fill the module's log, to guess its secret, to pass for others, or to make it fail.</summary>
public sealed class ModuleHostileLinkTests(ModuleServer server) : IClassFixture<ModuleServer>, IAsyncLifetime
{
    /// <summary>How much the log may grow during an attack, in bytes.</summary>
    private const long LogBound = 16 << 10;

    private const string Opening =
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";

    private static readonly IPAddress Attacker = IPAddress.Parse("127.0.0.66");

    private int _complaints;
    private long _log;

    public async Task InitializeAsync()
    {
        await server.Ejabberd.ForgetLogLimitsAsync();
        _complaints = server.Ejabberd.Complaints.Count;
        _log = server.Ejabberd.LogBytes;
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Theory]
    [InlineData("to='", "'>")]
    [InlineData("to='", "")]
    [InlineData("", "/>")]
    public async Task A_header_that_is_not_UTF_8_is_not_well_formed_and_is_not_logged(string before, string after)
    {
        byte[] header =
        [
            .. Encoding.ASCII.GetBytes(Opening + before),
            .. Enumerable.Repeat<byte[]>([0x20, 0xFF, 0xC3, 0x28], 50_000).SelectMany(junk => junk),
            .. Encoding.ASCII.GetBytes(after),
        ];
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        XmppClient neighbour = link.Open().Client;
        await neighbour.LogInAsync();
        for (int i = 0; i < 20; i++)
        {
            XmppClient offender = link.Open().Client;

            await offender.SendAsync(header);

            string last = await offender.ReceiveToEndAsync();
            Assert.Contains("<not-well-formed", last, StringComparison.Ordinal);
            Assert.EndsWith("</stream:stream>", last, StringComparison.Ordinal);
            await neighbour.SettleAsync();
        }

        await NothingWaitsAsync();
        Assert.InRange(server.Ejabberd.LogBytes - _log, 0, LogBound);
        Assert.Empty(NewComplaints());
    }

    /// <summary>ejabberd writes to its log, whole, an element that it gets in the place of a header.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_element_in_place_of_a_header_is_refused_and_is_not_logged(bool atOnce)
    {
        string element = $"<message><body>{new string('x', 200_000)}</body></message>";
        const string Auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        for (int i = 0; i < 10; i++)
        {
            XmppClient first = link.Open().Client;
            await first.SendAsync(element);
            Assert.Contains("<not-well-formed", await first.ReceiveToEndAsync(), StringComparison.Ordinal);

            // And the next one, which is due after the login.
            (XmppClient later, ulong id) = link.Open();
            if (atOnce)
            {
                await link.Link.SendRawAsync(new[] { Opening + ">", Auth, element }.SelectMany(piece => Packet.Format(id, piece)).ToArray());
            }
            else
            {
                await later.OpenAsync();
                await later.SendAsync(Auth);
                await later.ExpectAsync("<success");
                await later.SendAsync(element);
            }

            string last = await later.ReceiveToEndAsync();
            Assert.True(last.Contains("<not-well-formed", StringComparison.Ordinal), last);
        }

        await NothingWaitsAsync();
        Assert.InRange(server.Ejabberd.LogBytes - _log, 0, LogBound);
    }

    /// <summary>Clients need not wait for an answer before they send the next step.</summary>
    [Fact]
    public async Task A_login_sent_in_one_write_succeeds()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        for (int i = 0; i < 20; i++)
        {
            (XmppClient client, ulong id) = link.Open();
            string[] pieces =
            [
                Opening + ">", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", Opening + ">",
                "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "<presence/>",
                "<iq type='get' id='last' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
            ];
            await link.Link.SendRawAsync(pieces.SelectMany(piece => Packet.Format(id, piece)).ToArray());

            await client.ExpectAsync("<success");
            await client.ExpectAsync("id='bind'");
            await client.ExpectAsync("id='last'");
            await client.LogOutAsync();
        }

        await NothingWaitsAsync();
    }

    /// <summary>No packet that is known does that any more, so another parser has to.</summary>
    [Fact]
    public async Task A_failure_in_the_module_ends_that_session_with_one_bounded_line()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        XmppClient neighbour = link.Open().Client;
        await neighbour.LogInAsync();
        XmppClient offender = link.Open().Client;
        await offender.LogInAsync();
        await FailAsync("error({badmatch, Packet})");
        try
        {
            await offender.SendAsync($"<message><body>secret {new string('x', 200_000)}</body></message>");
            string last = await offender.ReceiveToEndAsync();
            Assert.Contains("<not-well-formed", last, StringComparison.Ordinal);
        }
        finally
        {
            await server.Ejabberd.EvaluateAsync("code:purge(ejabberd_megaphone_xml), code:load_file(ejabberd_megaphone_xml)");
        }

        await neighbour.SettleAsync();
        await NothingWaitsAsync();
        // What an earlier test had suppressed may be told now.
        string line = Assert.Single(NewComplaints(), line => !Regex.IsMatch(line, @" \d+ more "));
        Assert.Contains("error badmatch in ejabberd_megaphone_xml:events/2", line, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", line, StringComparison.Ordinal);
        Assert.InRange(line.Length, 1, 400);
        Assert.InRange(server.Ejabberd.LogBytes - _log, 1, LogBound);
    }

    [Fact]
    public async Task A_flood_of_unauthenticated_links_leaves_few_lines_and_a_summary()
    {
        long suppressed = await CounterAsync("log_suppressed");
        byte[][] first = [Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\n\r\n"), Packet.Format(0, "no JSON"), Packet.Format(7, "PROXY TCP4 nobody\r\n")];
        await OfManyAsync(900, 30, async i =>
        {
            using LinkPeer link = await LinkPeer.PlainEcmAsync(server.Ejabberd.LinkListener);
            await link.SendRawAsync(first[i % first.Length]);
            await EndAsync(link, i % first.Length == 2);
        });

        // Five of a kind are written in an interval. One that an earlier test began may end in the middle of this.
        const int Intervals = 3;
        await BoundedWait.UntilAsync(
            async () => await CounterAsync("log_suppressed") - suppressed >= 600 + 300 - (2 * 5 * Intervals), () => "lines that were not written");
        await server.Ejabberd.EvaluateAsync("[ejabberd_megaphone_registry ! {log_interval_ends, Kind} || Kind <- [stranger_closed, proxy_refused]]");

        List<int> closed = [], refused = [];
        await BoundedWait.UntilAsync(
            () =>
            {
                closed = Suppressed("connections were closed because of their first packet");
                refused = Suppressed("sessions were refused for their PROXY header");
                return closed.Sum() >= 600 - (5 * Intervals) && refused.Sum() >= 300 - (5 * Intervals);
            },
            "the lines that say how many more");

        Assert.InRange(closed.Count, 1, Intervals);
        Assert.InRange(refused.Count, 1, Intervals);
        Assert.InRange(closed.Sum(), 0, 595);
        Assert.InRange(refused.Sum(), 0, 295);
        Assert.InRange(NewComplaints().Count, 12, 14 * Math.Max(closed.Count, refused.Count));
        Assert.InRange(server.Ejabberd.LogBytes - _log, 0, LogBound);
    }

    [Fact]
    public async Task A_forged_name_cannot_forge_the_log_or_the_list_of_links()
    {
        await server.Ejabberd.ControlAsync("set_loglevel", "info");
        try
        {
            using LinkPeer link = await LinkPeer.PlainEcmAsync(server.Ejabberd.LinkListener);
            string name = "edge\\r\\n2026-01-01 00:00:00.000000+00:00 [critical] <0.1.0>@forged:line/1:1 forged\\u0085\\u2028\\u202e\\ttab"
                + new string('x', 3000);
            await link.SendControlAsync($$"""{"op":"hello","version":1,"name":"{{name}}","framing":"stanza"}""");
            Assert.Equal("welcome", (await link.ReceiveControlAsync()).GetProperty("op").GetString());

            await BoundedWait.UntilAsync(
                () => server.Ejabberd.Log.Any(line => line.Contains("is up: \"edge??2026-01-01", StringComparison.Ordinal)),
                "a line that names the link");
            Assert.DoesNotContain(server.Ejabberd.Log, line => line.StartsWith("2026-01-01 00:00:00.000000", StringComparison.Ordinal));
            string row = Assert.Single(
                await server.Ejabberd.ControlAsync("megaphone_links"), line => line.Contains("edge??", StringComparison.Ordinal));
            string[] columns = row.Split('\t');
            Assert.Equal(7, columns.Length);
            Assert.Equal(200, columns[1].Length);
            Assert.Contains("forged????tabx", columns[1], StringComparison.Ordinal);
        }
        finally
        {
            await server.Ejabberd.ControlAsync("set_loglevel", "warning");
        }
    }

    [Fact]
    public async Task Guesses_of_the_secret_delay_their_address_and_no_other()
    {
        (IPEndPoint listener, Func<Task> remove) = await server.Ejabberd.AddListenerAsync("module: ejabberd_megaphone", "secret: \"open sesame\"");
        await server.Ejabberd.ForgetLogLimitsAsync();
        (long wrong, long throttled) = (await CounterAsync("secret_wrong"), await CounterAsync("secret_throttled"));
        using LinkPeer up = await LinkPeer.EcmAsync(listener, "open sesame", framing: "stanza");
        DateTime begin = DateTime.UtcNow;
        int refused = 0;

        await OfManyAsync(600, 60, async i =>
        {
            using LinkPeer link = await LinkPeer.PlainEcmAsync(listener, from: Attacker);
            await link.SendControlAsync(LinkPeer.Hello($"guess {i}", framing: "stanza"));
            if ((await link.ReceiveControlAsync()).GetProperty("op").GetString() == "refuse") Interlocked.Increment(ref refused);
            if (i % 100 != 50) return;

            // No other link waits, new or existing.
            using LinkPeer honest = await LinkPeer.EcmAsync(listener, "open sesame", framing: "stanza");
            await up.SendControlAsync($$"""{"op":"ping","token":{{i}}}""");
        });

        double seconds = (DateTime.UtcNow - begin).TotalSeconds;
        Assert.Equal(600, refused);
        wrong = await CounterAsync("secret_wrong") - wrong;
        Assert.Equal(600, wrong + await CounterAsync("secret_throttled") - throttled);
        // One is free, and then there is one in a second.
        Assert.InRange(wrong, 1, 2 + (long)seconds);
        for (int i = 0; i < 6; i++) Assert.Equal("pong", (await up.ReceiveControlAsync()).GetProperty("op").GetString());
        Assert.Equal(5, NewComplaints().Count(line => line.Contains("its hello was refused", StringComparison.Ordinal)));
        await remove();
    }

    [Theory]
    [InlineData("required", false, false, true)]
    [InlineData("optional", true, true, true)]
    [InlineData("forbidden", true, false, false)]
    public async Task The_listener_decides_whether_a_PROXY_header_is_accepted(string policy, bool none, bool unknown, bool known)
    {
        (IPEndPoint listener, Func<Task> remove) = await server.Ejabberd.AddListenerAsync("module: ejabberd_megaphone", $"proxy_header: {policy}");
        await server.Ejabberd.ForgetLogLimitsAsync();
        long refused = await CounterAsync("proxy_refused");
        using StanzaEcm link = await StanzaEcm.ConnectAsync(listener);
        byte[] v1 = "PROXY TCP4 192.0.2.7 198.51.100.1 4000 5222\r\n"u8.ToArray();
        byte[] v2 = [.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 15, 160, 20, 102];
        byte[] local = [.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x20, 0, 0, 0];
        (byte[] Header, bool IsTaken)[] sessions =
            [([], none), ("PROXY UNKNOWN\r\n"u8.ToArray(), unknown), (local, unknown), (v1, known), (v2, known)];
        foreach ((byte[] header, bool isTaken) in sessions)
        {
            (XmppClient client, ulong id) = link.Open();
            await client.SendAsync([.. header, .. Encoding.ASCII.GetBytes(Opening + ">")]);
            if (isTaken) await client.ExpectAsync("</stream:features>");
            else Assert.Equal("bad_proxy_header", (await link.ControlAsync("reset", id)).GetProperty("reason").GetString());
        }

        int expected = sessions.Count(session => !session.IsTaken);
        Assert.Equal(expected, await CounterAsync("proxy_refused") - refused);
        await BoundedWait.UntilAsync(
            () => NewComplaints().Count(line => line.Contains("PROXY header", StringComparison.Ordinal)) == expected, "a line for each");
        link.Dispose();
        await remove();
    }

    private List<string> NewComplaints() =>
    [
        .. server.Ejabberd.Complaints.Skip(_complaints).Where(line =>
            line.Contains("ejabberd_megaphone", StringComparison.Ordinal) || line.Contains("[error]", StringComparison.Ordinal)),
    ];

    /// <summary>How many lines were suppressed, as the new lines about them say.</summary>
    private List<int> Suppressed(string what) =>
    [
        .. NewComplaints().Select(line => Regex.Match(line, $@"(\d+) more {what}")).Where(match => match.Success)
            .Select(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)),
    ];

    private Task<long> CounterAsync(string name) =>
        server.Ejabberd.NumberAsync($"proplists:get_value({name}, maps:get(counters, ejabberd_megaphone:info()))");

    /// <summary>All bytes that were counted as buffered have been released, according to the command that lists the links.</summary>
    private async Task NothingWaitsAsync()
    {
        string[] rows = [];
        await BoundedWait.UntilAsync(
            async () => (rows = [.. await server.Ejabberd.ControlAsync("megaphone_links")])
                .All(row => int.Parse(row.Split('\t')[^1], CultureInfo.InvariantCulture) == 0),
            () => $"links for which nothing waits, there are {string.Join(" | ", rows)}");
    }

    /// <summary>Puts a parser in the place of the module's that evaluates this.</summary>
    private async Task FailAsync(string erlang) => Assert.Equal("{module,ejabberd_megaphone_xml}", await server.Ejabberd.EvaluateAsync(
        "{ok, Tokens, _} = erl_scan:string(\"events(Packet, _) -> " + erlang + ".\"), {ok, Events} = erl_parse:parse_form(Tokens), "
        + "{ok, {Module, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(ejabberd_megaphone_xml), [abstract_code]), "
        + "{ok, Module, Binary} = compile:forms([case Form of {function, _, events, 2, _} -> Events; _ -> Form end || Form <- Forms], []), "
        + "code:purge(Module), code:load_binary(Module, \"failing\", Binary)"));

    /// <summary>Does something many times, so many at a time.</summary>
    private static Task OfManyAsync(int count, int atOnce, Func<int, Task> what) =>
        Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (i, _) => await what(i));

    /// <summary>Waits for the end of a link, or of the one session on it.</summary>
    private static async Task EndAsync(LinkPeer link, bool ofSession)
    {
        if (ofSession) Assert.True((await link.ReceiveAsync()).IsEnd);
        else await link.AssertClosesAsync();
    }
}
