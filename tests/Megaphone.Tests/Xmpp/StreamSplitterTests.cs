using System.Runtime.CompilerServices;
using System.Text;
using Megaphone.Tests.Protocol;
using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Xmpp;

/// <summary>XMPP streams in pieces: the restricted XML of RFC 6120, section 11.1, cut at its first level.</summary>
public class StreamSplitterTests
{
    private const string Header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a' version='1.0'>";
    private const string End = "</stream:stream>";

    [Fact]
    public void The_header_each_element_and_the_closing_tag_are_pieces() =>
        Assert.Equal(
            [Header, "<presence/>", "<message to='b'><body>hi</body></message>", "<a></a>", End],
            Reading.Of($"{Header}<presence/><message to='b'><body>hi</body></message><a></a>{End}").Pieces);

    [Fact]
    public void Space_between_pieces_is_dropped() =>
        Assert.Equal([Header, "<a/>", "<b/>", End], Reading.Of($" \r\n\t{Header} \n<a/>\t\r <b/>    {End}\n ").Pieces);

    [Fact]
    public void Space_within_pieces_is_kept() =>
        Assert.Equal([Header, "<a >\n <b\tc = 'd' /> </a\n>"], Reading.Of($"{Header}<a >\n <b\tc = 'd' /> </a\n>").Pieces);

    [Theory]
    [InlineData("<?xml version='1.0'?>")]
    [InlineData("<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n")]
    [InlineData("  <?xml\tversion = '1.0' encoding='UTF-8' standalone='yes'?> ")]
    public void The_XML_declaration_is_dropped(string declaration) =>
        Assert.Equal([Header, "<a/>"], Reading.Of($"{declaration}{Header}<a/>").Pieces);

    [Fact]
    public void A_stream_may_restart() =>
        Assert.Equal(
            [Header, "<auth>x</auth>", "<stream:stream again=''>", "<a/>", "<other:stream>", "<b/>", "</other:stream>"],
            Reading.Of($"{Header}<auth>x</auth><?xml version='1.0'?><stream:stream again=''><a/><other:stream><b/></other:stream>").Pieces);

    [Fact]
    public void A_header_may_have_any_prefix_or_none() =>
        Assert.Equal(["<stream\nid='1'>", "<a/>", "</stream >"], Reading.Of("<stream\nid='1'><a/></stream >").Pieces);

    [Fact]
    public void An_empty_stream_element_is_the_whole_stream()
    {
        Assert.Equal(["<stream:stream/>"], Reading.Of("<stream:stream/> ").Pieces);
        Assert.True(Reading.Of("<stream:stream/><a/>").IsDiscarding);
    }

    [Theory]
    [InlineData("x")]
    [InlineData("  <a/>")]
    [InlineData("<a")]
    [InlineData("<!-- -->")]
    [InlineData("<?xml version='1.0'?><stream:stream><a/>")]
    [InlineData("</stream:stream>")]
    public void What_follows_the_closing_tag_is_discarded(string more)
    {
        // At once and byte by byte; and nothing of it is buffered.
        foreach (int length in (int[])[int.MaxValue, 1])
        {
            Reading reading = Reading.Of(Encoding.UTF8.GetBytes(Header + "<a/>" + End + more), [length]);
            Assert.Null(reading.Fault);
            Assert.Equal([Header, "<a/>", End], reading.Pieces);
            Assert.True(reading.IsDiscarding);
            Assert.Equal(0, reading.Held);
        }
    }

    [Fact]
    public void White_space_after_the_closing_tag_is_not_counted_as_discarded() =>
        Assert.False(Reading.Of(Header + End + " \r\n\t").IsDiscarding);

    [Fact]
    public void Only_a_first_level_stream_element_is_a_header() =>
        Assert.Equal([Header, "<a><stream/><stream:stream></stream:stream></a>", End],
            Reading.Of($"{Header}<a><stream/><stream:stream></stream:stream></a>{End}").Pieces);

    [Theory]
    [InlineData("<a b='>' c=\">\" d='/>' e=\"</a>\"/>", true)]
    [InlineData("<a b='&lt;' c='\"' d=\"'\"/>", false)]
    [InlineData("<a><![CDATA[</a>]]></a>", false)]
    [InlineData("<a><![CDATA[]]]]]>]]><b/></a>", false)]
    [InlineData("<a><![CDATA[]]></a>", false)]
    [InlineData("<a><![CDATA[ ] ]> ]]></a>", false)]
    [InlineData("<a>> ]> \"'/ > </a>", false)]
    [InlineData("<äöü ß='ü'>\u00fc</äöü>", false)]
    [InlineData("<_a:b/>", false)]
    public void Text_that_looks_like_markup_is_not_mistaken_for_it(string element, bool isRefused)
    {
        // XML itself forbids a "<" in a value.
        Reading reading = Reading.Of($"{Header}{element}{element}");
        if (isRefused) Assert.Equal(StreamFaultKind.LessInAttribute, reading.Fault?.Kind);
        else Assert.Equal([Header, Latin1(element), Latin1(element)], reading.Pieces);
    }

    [Theory]
    [InlineData("G", "not-well-formed", 0)]
    [InlineData("GET / HTTP/1.1\r\n", "not-well-formed", 0)]
    [InlineData("  x", "not-well-formed", 2)]
    [InlineData("\ufeff<stream>", "not-well-formed", 0)]
    [InlineData("<html>", "bad-format", 5)]
    [InlineData("<message/>", "bad-format", 9)]
    [InlineData("</stream>", "not-well-formed", 1)]
    [InlineData("<![CDATA[x]]>", "not-well-formed", 2)]
    [InlineData("<!DOCTYPE x>", "restricted-xml", 2)]
    [InlineData("<!-- x -->", "restricted-xml", 2)]
    [InlineData("<?xml-stylesheet?>", "restricted-xml", 5)]
    [InlineData("<?xm", "", 0)]
    [InlineData("<?xMl ", "restricted-xml", 3)]
    [InlineData("<?xml version='1.0' encoding='UTF-16'?>", "unsupported-encoding", 38)]
    [InlineData("<?xml version='1.0' encoding='latin1'?>", "unsupported-encoding", 38)]
    [InlineData("<?xml version='1.1'?>", "not-well-formed", 20)]
    [InlineData("<?xml encoding='UTF-8'?>", "not-well-formed", 23)]
    [InlineData("<?xml version='1.0'encoding='UTF-8'?>", "not-well-formed", 36)]
    [InlineData("<?xml version='1.0' standalone='no' encoding='UTF-8'?>", "not-well-formed", 53)]
    [InlineData("<?xml version='1.0' standalone='?'?>", "not-well-formed", 33)]
    [InlineData("<?xml version='1.0' x='y'?>", "not-well-formed", 26)]
    [InlineData("<?xml ?>", "not-well-formed", 7)]
    [InlineData("<?xml version='1.0'?>x", "not-well-formed", 21)]
    [InlineData("<?xml version='1.0'?><?xml version='1.0'?>", "restricted-xml", 22)]
    public void A_stream_that_does_not_begin_with_a_header_is_refused(string stream, string condition, int offset) =>
        AssertRefused(stream, stream, condition, offset);

    [Theory]
    [InlineData("x", "bad-format", 0)]
    [InlineData("<a/>x", "bad-format", 4)]
    [InlineData("&#32;", "bad-format", 0)]
    [InlineData("<![CDATA[ ]]>", "bad-format", 2)]
    [InlineData("<a><!-- x --></a>", "restricted-xml", 5)]
    [InlineData("<!-- x -->", "restricted-xml", 2)]
    [InlineData("<!DOCTYPE x [<!ENTITY y 'z'>]>", "restricted-xml", 2)]
    [InlineData("<a><!ENTITY y 'z'></a>", "restricted-xml", 5)]
    [InlineData("<a><?x?></a>", "restricted-xml", 4)]
    [InlineData("<a><?xml version='1.0'?></a>", "restricted-xml", 4)]
    [InlineData("<?x?>", "restricted-xml", 3)]
    [InlineData("<?xml version='1.0'?><a/>", "not-well-formed", 24)]
    [InlineData("<?xml version='1.0'?><a>", "not-well-formed", 23)]
    [InlineData("<?xml version='1.0'?></stream:stream>", "not-well-formed", 36)]
    [InlineData("<a><![IGNORE[x]]></a>", "not-well-formed", 6)]
    [InlineData("<a><![CDATa[x]]></a>", "not-well-formed", 10)]
    [InlineData("<a><!x", "restricted-xml", 5)]
    [InlineData("<a><! x", "not-well-formed", 5)]
    [InlineData("< a/>", "not-well-formed", 1)]
    [InlineData("<1/>", "not-well-formed", 1)]
    [InlineData("<>", "not-well-formed", 1)]
    [InlineData("<<", "not-well-formed", 1)]
    [InlineData("<a><", "", 0)]
    [InlineData("<a></ a>", "not-well-formed", 5)]
    [InlineData("<a></>", "not-well-formed", 5)]
    [InlineData("<a b='<'/>", "not-well-formed", 6)]
    [InlineData("<a b=\"<\"/>", "not-well-formed", 6)]
    [InlineData("<a <", "not-well-formed", 3)]
    [InlineData("<a/b>", "not-well-formed", 3)]
    [InlineData("<a / >", "not-well-formed", 4)]
    [InlineData("<a></a<", "not-well-formed", 6)]
    [InlineData("<a></a/>", "not-well-formed", 6)]
    [InlineData("<a></a b='c'>", "not-well-formed", 9)]
    [InlineData("</message>", "not-well-formed", 9)]
    [InlineData("</stream:stream x>", "not-well-formed", 17)]
    [InlineData("<a/></a>", "not-well-formed", 7)]
    public void Restricted_or_malformed_XML_is_refused(string rest, string condition, int offset) =>
        AssertRefused(rest, Header + rest, condition, Header.Length + offset);

    [Fact]
    public void A_fault_has_a_reason_and_an_offset() =>
        Assert.Equal("restricted-xml at offset 10: comments are not allowed", Reading.Of("<stream><!--").Fault?.ToString());

    [Fact]
    public void Every_fault_has_a_reason_and_a_condition() =>
        Assert.All(Enum.GetValues<StreamFaultKind>().Where(kind => kind != StreamFaultKind.None), kind =>
            Assert.Matches("^[a-z-]+ at offset 7: .{10,}", new StreamFault(kind, 7).ToString()));

    [Fact]
    public void Pieces_up_to_the_limit_are_accepted_and_longer_ones_refused()
    {
        const int Limit = 300;
        string longest = Element(Limit), tooLong = Element(Limit + 1);
        foreach (int[] cut in new int[][] { [int.MaxValue], [1], [7], [Limit] })
        {
            Reading taken = Reading.Of(Bytes(Header + longest + longest), cut, Limit);
            Assert.Equal([Header, longest, longest], taken.Pieces);
            Assert.InRange(taken.MostHeld, 0, Limit);

            Reading refused = Reading.Of(Bytes(Header + longest + tooLong), cut, Limit);
            Assert.Equal([Header, longest], refused.Pieces);
            Assert.Equal(new StreamFault(StreamFaultKind.TooLong, Header.Length + (2 * Limit)), refused.Fault);
            Assert.Equal(StreamCondition.PolicyViolation, refused.Fault!.Condition);
            Assert.InRange(refused.MostHeld, 0, Limit);
        }

        static string Element(int length) => $"<a>{new string('x', length - 7)}</a>";
    }

    [Fact]
    public void A_piece_without_an_end_is_refused_at_the_first_byte_above_the_limit()
    {
        foreach (string begin in new[] { "<stream ", "<?xml ", "<stream a='" })
        {
            using Reading reading = new(300);
            reading.Feed(begin.PadRight(300));
            Assert.Null(reading.Fault);
            reading.Feed(" ");
            Assert.Equal(new StreamFault(StreamFaultKind.TooLong, 300), reading.Fault);
        }
    }

    [Fact]
    public void Space_between_pieces_belongs_to_no_piece_and_takes_no_memory()
    {
        using Reading reading = new(300);
        reading.Feed(Header);
        for (int i = 0; i < 100; i++) reading.Feed(new string(' ', 100));
        reading.Feed("<a/>");
        Assert.Equal([Header, "<a/>"], reading.Pieces);
        Assert.Equal(0, reading.MostHeld);
    }

    [Fact]
    public void Elements_may_be_nested_to_the_limit_and_no_deeper()
    {
        // The stream's own element is one of them.
        string deepest = Nested(PieceLexer.MaxDepth - 1), tooDeep = Nested(PieceLexer.MaxDepth);
        Assert.Equal([Header, deepest], Reading.Of(Header + deepest).Pieces);
        Reading refused = Reading.Of(Header + tooDeep);
        Assert.Equal(new StreamFault(StreamFaultKind.TooDeep, Header.Length + (3 * PieceLexer.MaxDepth) - 1), refused.Fault);
        Assert.Equal(StreamCondition.PolicyViolation, refused.Fault!.Condition);

        static string Nested(int levels) =>
            string.Concat(Enumerable.Repeat("<a>", levels)) + "<b/>" + string.Concat(Enumerable.Repeat("</a>", levels));
    }

    [Fact]
    public void Memory_is_held_while_a_piece_is_incomplete_and_at_no_other_time()
    {
        PieceMemory memory = new(long.MaxValue);
        using Reading reading = new(10_000, memory);
        reading.Feed(Header + "<a/>");
        Assert.Equal(0, memory.InUse);
        reading.Feed("<");
        Assert.Equal(256, memory.InUse);
        reading.Feed("a>" + new string('x', 254));
        Assert.Equal(512, memory.InUse);
        reading.Feed(new string('x', 9_000));
        Assert.Equal(10_000, memory.InUse);
        reading.Feed("</a>");
        Assert.Equal(0, memory.InUse);
        Assert.Equal(3, reading.Pieces.Count);
        Assert.Equal(0, reading.Held);
    }

    [Fact]
    public void Memory_is_freed_when_a_client_disconnects_and_when_it_is_refused()
    {
        PieceMemory memory = new(long.MaxValue);
        using (Reading gone = new(10_000, memory))
        {
            gone.Feed(Header + "<a>");
            Assert.Equal(256, memory.InUse);
        }

        Assert.Equal(0, memory.InUse);
        using Reading refused = new(10_000, memory);
        refused.Feed(Header + "<a>").Feed("<!--");
        Assert.NotNull(refused.Fault);
        Assert.Equal(0, memory.InUse);
    }

    [Fact]
    public void When_the_memory_is_used_up_only_the_stream_that_needs_more_is_refused()
    {
        PieceMemory memory = new(512);
        using Reading first = new(10_000, memory), second = new(10_000, memory), third = new(10_000, memory);
        first.Feed(Header).Feed("<a>");
        second.Feed(Header).Feed("<a>");
        third.Feed(Header).Feed("<a/><b>");
        Assert.Equal(StreamFaultKind.NoMemory, third.Fault?.Kind);
        Assert.Equal(StreamCondition.ResourceConstraint, third.Fault?.Condition);
        Assert.Equal(2, third.Pieces.Count);
        Assert.Equal(512, memory.InUse);

        first.Feed("</a>");
        second.Feed("</a>");
        Assert.Equal([Header, "<a></a>"], first.Pieces);
        Assert.Equal([Header, "<a></a>"], second.Pieces);
        Assert.Equal(0, memory.InUse);
    }

    /// <summary>Before a login pieces may not be as long as later; the fault is the same however the stream is cut.</summary>
    [Fact]
    public void A_piece_may_be_limited_further_for_a_time()
    {
        const int limit = 1000;
        string longest = $"<a>{new string('x', limit - 7)}</a>", tooLong = $"<a>{new string('x', limit - 6)}</a>";
        foreach (int step in new[] { 1, 7, 300, int.MaxValue })
        {
            StreamSplitter splitter = new(new PieceMemory(long.MaxValue));
            StreamState stream = default;
            Assert.Equal([Header, longest], Pieces(longest, limit, out StreamFault? fault));
            Assert.Null(fault);
            Assert.Empty(Pieces(tooLong, limit, out fault, Header.Length));
            Assert.Equal(new StreamFault(StreamFaultKind.TooLong, Header.Length + (2 * limit)), fault);

            splitter = new(new PieceMemory(long.MaxValue));
            stream = default;
            Assert.Equal([Header, tooLong], Pieces(tooLong, int.MaxValue, out fault));
            splitter.Release(ref stream, 10_000);

            List<string> Pieces(string piece, int limit, out StreamFault? fault, int skip = 0)
            {
                ReadOnlySpan<byte> bytes = Bytes(Header + piece).AsSpan(skip);
                List<string> pieces = [];
                fault = null;
                while (!bytes.IsEmpty && fault is null)
                {
                    ReadOnlySpan<byte> some = bytes[..Math.Min(step, bytes.Length)];
                    bytes = bytes[some.Length..];
                    while (splitter.Next(ref stream, 10_000, ref some, out ReadOnlySpan<byte> found, out fault, limit) == StreamSplitter.Step.Piece)
                        pieces.Add(Encoding.UTF8.GetString(found));
                }

                return pieces;
            }
        }
    }

    [Fact]
    public void A_stranger_is_refused_where_others_still_find_room()
    {
        StreamSplitter splitter = new(new PieceMemory(1024));
        StreamState stranger = default, guest = default;
        stranger.IsStranger = true;
        Assert.Equal(StreamFaultKind.NoMemory, Feed(ref stranger)?.Kind);
        Assert.Null(Feed(ref guest));

        StreamFault? Feed(ref StreamState stream)
        {
            ReadOnlySpan<byte> bytes = Bytes($"{Header}<a>{new string('x', 600)}");
            StreamFault? fault;
            while (splitter.Next(ref stream, 10_000, ref bytes, out _, out fault) == StreamSplitter.Step.Piece)
            {
            }

            return fault;
        }
    }

    [Fact]
    public void A_new_piece_is_not_stale()
    {
        StreamSplitter splitter = new(new PieceMemory(long.MaxValue));
        StreamState stream = default;
        Feed($"{Header}<a>");
        stream.IsStale = true;
        Feed("x");
        Assert.True(stream.IsStale);
        Feed("</a><b>");
        Assert.False(stream.IsStale);
        splitter.Release(ref stream, 10_000);

        void Feed(string text)
        {
            ReadOnlySpan<byte> bytes = Bytes(text);
            while (splitter.Next(ref stream, 10_000, ref bytes, out _, out _) == StreamSplitter.Step.Piece)
            {
            }
        }
    }

    [Fact]
    public void A_stream_costs_24_bytes() => Assert.Equal(24, Unsafe.SizeOf<StreamState>());

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[] stream = Bytes($"{Header}<message to='b'><body>hi</body></message><presence/>{End}");
        StreamSplitter splitter = new(new PieceMemory(long.MaxValue));
        Assert.Equal(0, PacketHeaderTests.AllocatedBy(() =>
        {
            for (int cut = 0; cut <= stream.Length; cut++)
            {
                StreamState state = default;
                ReadOnlySpan<byte> head = stream.AsSpan(0, cut), tail = stream.AsSpan(cut);
                while (splitter.Next(ref state, 1_000, ref head, out _, out _) == StreamSplitter.Step.Piece)
                {
                }

                while (splitter.Next(ref state, 1_000, ref tail, out _, out _) == StreamSplitter.Step.Piece)
                {
                }

                splitter.Release(ref state, 1_000);
            }
        }));
    }

    /// <summary>Refused in the same way at once and byte by byte; without a condition it is accepted, as incomplete.</summary>
    private static void AssertRefused(string shown, string stream, string condition, int offset)
    {
        foreach (int[] cut in new int[][] { [int.MaxValue], [1] })
        {
            StreamFault? fault = Reading.Of(Bytes(stream), cut).Fault;
            string expected = condition.Length == 0 ? "" : $"{shown}: {condition} at {offset}";
            Assert.Equal(expected, fault is null ? "" : $"{shown}: {StreamErrorText.NameOf(fault.Condition)} at {fault.Offset}");
        }
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static string Latin1(string text) => Encoding.Latin1.GetString(Bytes(text));
}
