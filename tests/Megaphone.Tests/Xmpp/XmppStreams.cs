using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Megaphone.Tests.Xmpp;

/// <summary>Random streams as clients could send them: everything that XML allows and XMPP does not forbid.</summary>
internal static class XmppStreams
{
    private static readonly Gen<string> Names =
        Gen.Elements("a", "message", "b:c", "_x", "äöü", "streams", "stream-", "x.1", "ns:iq", "stream:features");

    private static readonly Gen<string> SomeSpace = Gen.Elements(" ", "\n", "\t", "\r", "\r\n ");

    private static readonly Gen<string> Space = SomeSpace.Or(Gen.Constant(""));

    private static readonly Gen<string> Values = Texts("<\"'");

    /// <summary>A text may be followed by another: the two together must not make a <c>]]&gt;</c> either.</summary>
    private static readonly Gen<string> Contents = Gen.OneOf(
        Texts("<").Select(text => text.EndsWith(']') ? text + "." : text),
        Texts("").Select(text => $"<![CDATA[{text.Replace("]]>", "]] >", StringComparison.Ordinal)}]]>"));

    private static readonly Gen<string> Header = Attributes().Select(attributes =>
        $"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'{attributes}>");

    /// <summary>A stream without its closing tag.</summary>
    /// <remarks>Not longer than the reference parser's buffer, at the end of which it miscounts columns.</remarks>
    private static readonly Gen<string> Runs = (
        from declaration in Gen.Elements("", "<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding='utf-8'?>\n")
        from header in Header
        from elements in (from space in Space from element in Gen.Sized(size => Element(Math.Min(size, 5))) select space + element).ArrayOf()
        from space in Space
        select declaration + header + string.Concat(elements) + space).Where(run => run.Length < 4_000);

    private static readonly Gen<byte> AnyByte = Gen.Choose(0, 255).Select(value => (byte)value);

    /// <summary>Significant bytes, so that invalid streams are nearly valid.</summary>
    private static readonly Gen<byte> MarkupByte = Gen.Elements("<>/!?-[]'\"&;= axmlCDATA\n"u8.ToArray());

    private static readonly Gen<string> MarkupPiece = Gen.Elements(
        "<", ">", "</", "/>", "<!", "<![CDATA[", "]]>", "<?", "?>", "<?xml version='1.0'?>", "<!--", "-->", "<!DOCTYPE x>", "'", "\"", "=",
        "&lt;", "&", "<a>", "</a>", "<a/>", "<b c='d'>", "<stream:stream>", "</stream:stream>", "<stream/>", " ", "x", "ü", "\0", "\n");

    /// <summary>Parts of one stream that restarts, as after SASL. Each lacks its closing tag.</summary>
    public static Gen<string[]> Parts { get; } = Gen.Choose(1, 3).SelectMany(count => Runs.ArrayOf(count));

    /// <summary>Streams with a few bytes changed, removed or inserted.</summary>
    public static Gen<byte[]> Spoilt { get; } =
        from run in Runs
        from spoilings in (
            from at in Gen.Choose(0, 1_000_000)
            from kind in Gen.Choose(0, 2)
            from value in MarkupByte.Or(AnyByte)
            select (at, kind, value)).ArrayOf(2)
        select Spoil([.. Encoding.UTF8.GetBytes(run + "</stream:stream>")], spoilings);

    /// <summary>Random markup.</summary>
    public static Gen<byte[]> Garbage { get; } = Gen.OneOf(
        MarkupPiece.ArrayOf().Select(pieces => Encoding.UTF8.GetBytes("<stream:stream>" + string.Concat(pieces))),
        MarkupByte.ArrayOf().Select(bytes => (byte[])[.. "<stream>"u8, .. bytes]),
        MarkupPiece.ArrayOf().Select(pieces => Encoding.UTF8.GetBytes(string.Concat(pieces))),
        AnyByte.ArrayOf());

    /// <summary>The lengths of the parts in which a stream arrives, repeated; some are 0.</summary>
    public static Gen<int[]> Cuts { get; } = Gen.OneOf(Gen.Choose(0, 3), Gen.Choose(0, 40), Gen.Choose(1, 500))
        .NonEmptyListOf().Select(lengths => lengths.Append(1).ToArray());

    private static Gen<string> Texts(string without)
    {
        string[] all =
        [
            "hi", " ", ">", "/", "/>", "\"", "'", "=", "]", "]>", "-->", "?>", "&lt;", "&#x3e;", "&amp;", "ü", "字", "🎈", "\n", "\r\n",
            "<", "</a>", "<!--", "<![CDATA[", "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
        ];

        // "]]>" is not allowed in content.
        return Gen.Elements(all.Where(text => text.IndexOfAny(without.ToCharArray()) < 0).ToArray())
            .ArrayOf().Select(texts => string.Concat(texts).Replace("]]>", "]] >", StringComparison.Ordinal));
    }

    private static Gen<string> Attributes() =>
        (from space in SomeSpace
         from name in Names
         from around in Space
         from quote in Gen.Elements('"', '\'')
         from value in Values
         from other in Gen.Elements("", quote == '"' ? "'" : "\"")
         select (Before: space + name, After: $"{around}={around}{quote}{value}{other}{quote}"))
        .ArrayOf().Select(all => string.Concat(all.Select((attribute, i) => $"{attribute.Before}{i}{attribute.After}")));

    private static Gen<string> Element(int size)
    {
        Gen<string> start = from name in Names from attributes in Attributes() from space in Space select $"{name}{attributes}{space}";
        Gen<string> empty = start.Select(tag => $"<{tag}/>");
        if (size == 0) return empty;
        Gen<string> full =
            from tag in start
            from content in Contents.Or(Gen.Choose(0, size - 1).SelectMany(Element)).ArrayOf(size)
            from space in Space
            select $"<{tag}>{string.Concat(content)}</{tag.Split(' ', '\n', '\t', '\r')[0]}{space}>";
        return full.Or(empty);
    }

    private static byte[] Spoil(List<byte> stream, (int At, int Kind, byte Value)[] spoilings)
    {
        foreach ((int at, int kind, byte value) in spoilings)
        {
            int index = at % stream.Count;
            if (kind == 0) stream[index] = value;
            else if (kind == 1) stream.RemoveAt(index);
            else stream.Insert(index, value);
        }

        return [.. stream];
    }
}
