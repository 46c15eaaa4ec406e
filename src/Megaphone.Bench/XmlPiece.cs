using System.Buffers;
using System.Text;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>
/// Looks things up in a piece of a server's stream that <see cref="StreamSplitter"/> found. Allocates next to nothing.
/// </summary>
/// <remarks>Knows just enough of XML for what servers say during a login, without prefixes but those of the stream's own.</remarks>
internal static class XmlPiece
{
    private const int LongestName = 60;

    private static readonly SearchValues<byte> NameEnds = SearchValues.Create(" \t\r\n/>"u8);

    /// <summary>
    /// The local name of the piece's element: <c>features</c> for <c>&lt;stream:features&gt;</c>, empty for a closing tag.
    /// </summary>
    public static ReadOnlySpan<byte> Name(ReadOnlySpan<byte> piece)
    {
        ReadOnlySpan<byte> name = UpToNameEnd(piece[1..]);
        return name[(name.IndexOf((byte)':') + 1)..];
    }

    /// <summary>Whether the piece ends the stream.</summary>
    public static bool IsClosingTag(ReadOnlySpan<byte> piece) => piece.StartsWith("</"u8);

    /// <summary>Whether the piece is a stream error rather than a stanza that is called <c>error</c>.</summary>
    public static bool IsStreamError(ReadOnlySpan<byte> piece) => piece.StartsWith("<stream:error"u8);

    /// <summary>Finds an attribute of the piece's own element; as it stands there, references and all.</summary>
    public static bool TryAttribute(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> rest = piece[(1 + UpToNameEnd(piece[1..]).Length)..];
        while (true)
        {
            value = default;
            int equals = rest.IndexOfAny((byte)'=', (byte)'>');
            if (equals < 0 || rest[equals] == '>') return false;
            ReadOnlySpan<byte> found = rest[..equals].Trim(" \t\r\n"u8);
            rest = rest[(equals + 1)..].TrimStart(" \t\r\n"u8);
            if (rest.IsEmpty) return false;
            int length = rest[1..].IndexOf(rest[0]);
            if (length < 0) return false;
            value = rest.Slice(1, length);
            if (found.SequenceEqual(name)) return true;
            rest = rest[(length + 2)..];
        }
    }

    /// <summary>Whether the piece, or something within it, is an element of this name.</summary>
    public static bool Has(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> element) => Find(piece, element) >= 0;

    /// <summary>Finds the text right behind the first start tag of this name.</summary>
    public static bool TryText(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> element, out ReadOnlySpan<byte> text)
    {
        text = default;
        int at = Find(piece, element);
        if (at < 0) return false;
        ReadOnlySpan<byte> tag = piece[at..];
        int end = tag.IndexOf((byte)'>');
        if (end < 0) return false;
        if (tag[end - 1] == '/') return true;
        ReadOnlySpan<byte> content = tag[(end + 1)..];
        int less = content.IndexOf((byte)'<');
        text = less < 0 ? content : content[..less];
        return true;
    }

    /// <summary>
    /// The name of the first element within the first element of this name: the condition of an error, for people to read.
    /// </summary>
    public static string Condition(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> element)
    {
        int at = Find(piece, element);
        int end = at < 0 ? -1 : piece[at..].IndexOf("><"u8);
        if (end < 0) return "no condition";
        ReadOnlySpan<byte> name = UpToNameEnd(piece[(at + end + 2)..]);
        return string.Concat(Encoding.UTF8.GetString(name[..Math.Min(name.Length, LongestName)])
            .Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or ':' ? letter : '?'));
    }

    /// <summary>Where the first start tag of this name begins; -1: nowhere. A prefix may stand before the name.</summary>
    private static int Find(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> element)
    {
        for (int at = 0; ;)
        {
            int less = piece[at..].IndexOf((byte)'<');
            if (less < 0) return -1;
            at += less;
            ReadOnlySpan<byte> name = UpToNameEnd(piece[(at + 1)..]);
            if (name[(name.IndexOf((byte)':') + 1)..].SequenceEqual(element)) return at;
            at++;
        }
    }

    private static ReadOnlySpan<byte> UpToNameEnd(ReadOnlySpan<byte> text)
    {
        int end = text.IndexOfAny(NameEnds);
        return end < 0 ? text : text[..end];
    }
}
