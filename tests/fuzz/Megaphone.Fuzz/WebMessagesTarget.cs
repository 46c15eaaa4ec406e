using System.Text;
using System.Xml;
using Megaphone.Tests.Xmpp;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Fuzz;

/// <summary>
/// XMPP's messages over a WebSocket, one for each line of the input: none that is half an element or two passes as one, what a real XML parser
/// takes for one element is read as one, a header has the attributes of its <c>&lt;open/&gt;</c>, and an element that is made to stand by
/// itself is the same element.
/// </summary>
internal static class WebMessagesTarget
{
    private const string Header = "<stream>";
    private const string End = "</stream>";

    public static void Run(byte[] input)
    {
        FramedLife life = FramedLife.Unopened;
        foreach (byte[] message in Encoding.Latin1.GetString(input).Split('\n').Select(Encoding.Latin1.GetBytes))
        {
            if (!System.Text.Unicode.Utf8.IsValid(message)) return;
            FramedLife before = life;
            FramedMessage kind = FramedStream.Read(message, ref life, out ReadOnlySpan<byte> piece, out StreamFault? fault);
            Property.Holds((kind == FramedMessage.Fault) == fault is not null, "a fault has a description");
            string text = Encoding.UTF8.GetString(piece);
            bool isOne = ReferenceParser.PiecesOf($"{Header}{text}{End}") is { Count: 3 }
                && ReferenceParser.PiecesOf($"{Header}{text}{text}{End}") is { Count: 4 };
            if (fault is not null)
            {
                Property.IsOneLine(fault.ToString());
                Property.Holds(fault.Offset >= 0 && fault.Offset <= message.Length, "a fault lies in its message");
                bool isOfTheStream = fault.Kind is StreamFaultKind.NotOpened or StreamFaultKind.MalformedOpen or StreamFaultKind.TooDeep;
                Property.Holds(!isOne || isOfTheStream, $"what a parser takes for one element is one: {fault}");
                return;
            }

            if (kind == FramedMessage.Element)
            {
                Property.Holds(before == FramedLife.Open, "there are elements only in an open stream");
                Property.Holds(ReferenceParser.IsOnePiece(Encoding.Latin1.GetString(piece)), $"a message is one element: {text}");
                if (isOne) CheckStandsByItself(piece, text);
            }
            else if (kind == FramedMessage.Open)
            {
                CheckHeader(piece, text);
            }
        }
    }

    private static void CheckHeader(ReadOnlySpan<byte> open, string text)
    {
        byte[] room = new byte[open.Length + FramedStream.MostMore];
        int length = FramedStream.WriteHeader(open, room);
        Property.Holds(length > 0, "an <open/> that was accepted has a header");
        string header = Encoding.UTF8.GetString(room, 0, length);
        if (Attributes(text) is not { } given) return;
        SortedDictionary<string, string>? made = Attributes($"{header}</stream:stream>");
        given["xmlns"] = "jabber:client";
        given["xmlns:stream"] = "http://etherx.jabber.org/streams";
        Property.Holds(made is not null && given.SequenceEqual(made), $"a header has the attributes of its <open/>: {header}");

        // And back: the server's header becomes an <open/> in the same way.
        byte[] back = new byte[length + FramedStream.MostMore];
        string again = Encoding.UTF8.GetString(back, 0, FramedStream.WriteOpen(room.AsSpan(0, length), back));
        given["xmlns"] = "urn:ietf:params:xml:ns:xmpp-framing";
        given.Remove("xmlns:stream");
        Property.Holds(Attributes(again) is { } last && given.SequenceEqual(last), $"an <open/> has the attributes of its header: {again}");
    }

    private static void CheckStandsByItself(ReadOnlySpan<byte> element, string text)
    {
        string missing = Encoding.UTF8.GetString(FramedStream.MissingNamespaces(element, out int at));
        string whole = Encoding.UTF8.GetString(element[..at]) + missing + Encoding.UTF8.GetString(element[at..]);
        if (Attributes(text) is not { } given) return;
        given.TryAdd("xmlns", "jabber:client");
        if (text.StartsWith("<stream:", StringComparison.Ordinal)) given.TryAdd("xmlns:stream", "http://etherx.jabber.org/streams");
        Property.Holds(Attributes(whole) is { } made && given.SequenceEqual(made), $"an element gets what it lacks, and nothing else: {whole}");
    }

    /// <summary>The attributes of an element; null when the parser does not accept it.</summary>
    private static SortedDictionary<string, string>? Attributes(string element)
    {
        try
        {
            using XmlTextReader reader = new(new StringReader(element)) { Namespaces = false, DtdProcessing = DtdProcessing.Prohibit };
            SortedDictionary<string, string> attributes = new(StringComparer.Ordinal);
            if (!reader.Read() || reader.NodeType != XmlNodeType.Element) return null;
            while (reader.MoveToNextAttribute()) attributes.Add(reader.Name, reader.Value);
            while (reader.Read())
            {
            }

            return attributes;
        }
        catch (XmlException)
        {
            return null;
        }
    }
}
