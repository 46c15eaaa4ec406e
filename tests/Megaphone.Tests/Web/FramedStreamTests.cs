using System.Text;
using Megaphone.Web;
using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Web;

/// <summary>XMPP over WebSocket (RFC 7395) as XMPP over TCP (RFC 6120), and back.</summary>
public sealed class FramedStreamTests
{
    private const string Open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";
    private const string Close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

    [Theory]
    [InlineData(Open, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>")]
    [InlineData(
        "<open version = \"1.0\" xml:lang='de' xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" from='a&apos;b>c@example.org'\n to='example.org' />",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version=\"1.0\" xml:lang='de' "
        + "from='a&apos;b>c@example.org' to='example.org'>")]
    [InlineData(
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org'></open >",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org'>")]
    public void Open_is_the_header_with_all_its_attributes(string open, string header)
    {
        FramedLife life = FramedLife.Unopened;
        Assert.Equal(FramedMessage.Open, FramedStream.Read(Utf8(open), ref life, out ReadOnlySpan<byte> piece, out _));
        Assert.Equal(FramedLife.Open, life);
        byte[] room = new byte[piece.Length + FramedStream.MostMore];
        Assert.Equal(header, Text(room.AsSpan(0, FramedStream.WriteHeader(piece, room))));
    }

    [Fact]
    public void A_stream_is_opened_restarted_and_closed()
    {
        Assert.Equal(
            [
                FramedMessage.Open, FramedMessage.Element, FramedMessage.Open, FramedMessage.Nothing, FramedMessage.Element, FramedMessage.Close,
                FramedMessage.Nothing,
            ],
            Kinds(Open, "<auth/>", Open, " \n", " <message><body>a > b<![CDATA[</message>]]></body></message>\n", Close, "<late/>"));
    }

    [Fact]
    public void A_close_in_another_namespace_is_a_stanza() =>
        Assert.Equal([FramedMessage.Open, FramedMessage.Element], Kinds(Open, "<close xmlns='x'/>"));

    [Theory]
    [InlineData("<presence/>", StreamFaultKind.NotOpened)]
    [InlineData("<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>", StreamFaultKind.NotOpened)]
    [InlineData(Close, StreamFaultKind.MalformedOpen)]
    [InlineData("<open/>", StreamFaultKind.NotOpened)]
    [InlineData("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'><a/></open>", StreamFaultKind.MalformedOpen)]
    [InlineData("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to/>", StreamFaultKind.MalformedOpen)]
    [InlineData("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a'version='1.0'/>", StreamFaultKind.MalformedOpen)]
    [InlineData("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' a b='c'/>", StreamFaultKind.MalformedOpen)]
    [InlineData("open", StreamFaultKind.TextBetweenElements)]
    public void A_stream_must_begin_with_open(string message, object fault) => Assert.Equal(fault, FaultOf(message));

    [Theory]
    [InlineData("<a>", StreamFaultKind.NotWhole)]
    [InlineData("<a", StreamFaultKind.NotWhole)]
    [InlineData("<", StreamFaultKind.NotWhole)]
    [InlineData("<a/><b/>", StreamFaultKind.SecondElement)]
    [InlineData("<a></a>b", StreamFaultKind.SecondElement)]
    [InlineData("a<b/>", StreamFaultKind.TextBetweenElements)]
    [InlineData("<![CDATA[x]]>", StreamFaultKind.TextBetweenElements)]
    [InlineData("</stream:stream>", StreamFaultKind.NothingToEnd)]
    [InlineData("<stream:stream>", StreamFaultKind.NotWhole)]
    [InlineData("<stream:stream/>", StreamFaultKind.NotOpened)]
    [InlineData("<?xml version='1.0'?><a/>", StreamFaultKind.ProcessingInstruction)]
    [InlineData("<!DOCTYPE a><a/>", StreamFaultKind.DocumentType)]
    [InlineData("<a><!-- b --></a>", StreamFaultKind.Comment)]
    public void Each_message_is_one_element(string message, object fault) => Assert.Equal(fault, FaultOf(Open, message));

    [Fact]
    public void The_servers_header_is_open_with_all_its_attributes()
    {
        byte[] header = Utf8(
            "<stream:stream id='1' version='1.0' xml:lang='en' xmlns:stream='http://etherx.jabber.org/streams' from='a' xmlns='jabber:client'>");
        byte[] room = new byte[header.Length + FramedStream.MostMore];
        Assert.Equal(
            "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" id='1' version='1.0' xml:lang='en' from='a' />",
            Text(room.AsSpan(0, FramedStream.WriteOpen(header, room))));
    }

    [Fact]
    public void Close_is_what_Strophe_compares_it_with() =>
        Assert.Equal("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />", Text(FramedStream.Close));

    [Theory]
    [InlineData("<message/>", "<message xmlns='jabber:client'/>")]
    [InlineData("<message to='a>b'><body xmlns='x'/></message>", "<message xmlns='jabber:client' to='a>b'><body xmlns='x'/></message>")]
    [InlineData("<iq xmlns='jabber:client'/>", "<iq xmlns='jabber:client'/>")]
    [InlineData("<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>", "<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>")]
    [InlineData(
        "<stream:features><a/></stream:features>",
        "<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><a/></stream:features>")]
    [InlineData(
        "<stream:error xmlns='jabber:client'/>", "<stream:error xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'/>")]
    [InlineData("<stream:error xmlns='a' xmlns:stream='b'/>", "<stream:error xmlns='a' xmlns:stream='b'/>")]
    public void An_element_is_given_the_namespaces_that_the_header_has_declared(string element, string whole)
    {
        ReadOnlySpan<byte> missing = FramedStream.MissingNamespaces(Utf8(element), out int at);
        Assert.Equal(whole, element.Insert(at, Text(missing)));
    }

    private static List<FramedMessage> Kinds(params string[] messages)
    {
        FramedLife life = FramedLife.Unopened;
        List<FramedMessage> kinds = [];
        foreach (string message in messages) kinds.Add(FramedStream.Read(Utf8(message), ref life, out _, out _));
        return kinds;
    }

    private static StreamFaultKind? FaultOf(params string[] messages)
    {
        FramedLife life = FramedLife.Unopened;
        StreamFault? fault = null;
        foreach (string message in messages) FramedStream.Read(Utf8(message), ref life, out _, out fault);
        return fault?.Kind;
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
}
