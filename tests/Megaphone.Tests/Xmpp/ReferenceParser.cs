using System.Text;
using System.Text.RegularExpressions;
using System.Xml;

namespace Megaphone.Tests.Xmpp;

/// <summary>A real XML parser, System.Xml, that decides what is well formed and where elements begin and end.</summary>
/// <remarks>Pieces are in Latin 1, one character for each byte; whole streams are text.</remarks>
internal static partial class ReferenceParser
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>The pieces of a stream: its header, the first-level elements and the closing tag.</summary>
    /// <returns>Null when the parser or XMPP refuses it: it is more than elements between the tags of a stream.</returns>
    public static List<string>? PiecesOf(string stream)
    {
        try
        {
            using XmlTextReader reader = Reader(new StringReader(stream));
            Positions positions = new(stream);
            List<string> pieces = [];
            int begin = -1;
            while (reader.Read())
            {
                if (reader.NodeType is XmlNodeType.Comment or XmlNodeType.ProcessingInstruction) return null;
                bool closes = reader is { Depth: 0, NodeType: XmlNodeType.EndElement };
                if (reader.Depth > 1 || (reader is { Depth: 1, NodeType: XmlNodeType.EndElement })) continue;

                // The previous piece ends where this node begins.
                int here = positions.Of(reader) - (closes ? 2 : reader.NodeType == XmlNodeType.Element ? 1 : 0);
                if (begin >= 0) pieces.Add(stream[begin..here]);
                begin = -1;
                switch (reader.NodeType)
                {
                    case XmlNodeType.XmlDeclaration:
                        // This parser reads text, and accepts any version.
                        if (reader.GetAttribute("encoding")?.ToUpperInvariant() is not (null or "UTF-8")) return null;
                        if (reader.GetAttribute("version") != "1.0") return null;
                        break;
                    case XmlNodeType.Element:
                        if ((reader.Name.Split(':')[^1] == "stream") != (reader.Depth == 0)) return null;
                        if (reader is { Depth: 0, IsEmptyElement: true }) return null;
                        begin = here;
                        break;
                    case XmlNodeType.EndElement:
                        // This parser takes a NUL behind the last tag for the end of everything.
                        string last = stream[here..].TrimEnd(' ', '\t', '\r', '\n');
                        if (!last.EndsWith('>') || last.Contains('\0')) return null;
                        pieces.Add(last);
                        break;
                    case XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                        // A reference to white space is not white space, and not allowed between elements.
                        if (stream[here] == '&') return null;
                        break;
                    default:
                        return null;
                }
            }

            return pieces;
        }
        catch (XmlException)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether a piece may be one of a stream: its header, its closing tag, or what the parser does not take for half an element or for
    /// two. What the parser refuses for another reason, the server will refuse too.
    /// </summary>
    public static bool IsOnePiece(string piece)
    {
        if (ClosingTag().IsMatch(piece)) return true;

        // A header is one tag: with an end it would be one empty element.
        Match header = HeaderTag().Match(piece);
        string element = header.Success ? $"{piece}</{header.Groups[1].Value}>" : piece;
        return ElementsIn(element) is null or 1 && !IsHalf(element);
    }

    /// <summary>A stream as text; null when it is not UTF-8.</summary>
    public static string? TextOf(byte[] stream)
    {
        try
        {
            return Strict.GetString(stream);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>A piece as text.</summary>
    public static string FromLatin1(string piece) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(piece));

    /// <summary>How many first-level elements a piece would be in a stream by itself; null when it is not well formed there.</summary>
    private static int? ElementsIn(string piece)
    {
        try
        {
            using XmlTextReader reader = Reader(new MemoryStream(Encoding.Latin1.GetBytes($"<stream>{piece}</stream>")));
            int elements = 0;
            while (reader.Read())
            {
                if (reader is { Depth: 1, NodeType: XmlNodeType.Element }) elements++;
            }

            return elements;
        }
        catch (XmlException)
        {
            return null;
        }
    }

    /// <summary>Whether a piece only lacks its end to be well formed: then it is the beginning of an element.</summary>
    private static bool IsHalf(string piece)
    {
        try
        {
            using XmlTextReader reader = Reader(new MemoryStream(Encoding.Latin1.GetBytes(piece)));
            while (reader.Read())
            {
            }

            return false;
        }
        catch (XmlException error)
        {
            return error.Message.Contains("Unexpected end of file", StringComparison.Ordinal);
        }
    }

    [GeneratedRegex("""^</([^<>"'/]*:)?stream[ \t\r\n]*>$""")]
    private static partial Regex ClosingTag();

    [GeneratedRegex("""^<((?:[^<>"'/: \t\r\n]*:)?stream)(?=[ \t\r\n>])(?:[^<>"'/]|"[^"]*"|'[^']*')*>$""")]
    private static partial Regex HeaderTag();

    /// <summary>Without namespaces: a piece by itself does not declare the prefixes of its stream.</summary>
    private static XmlTextReader Reader(TextReader text) => new(text) { Namespaces = false, DtdProcessing = DtdProcessing.Prohibit };

    private static XmlTextReader Reader(Stream bytes) => new(bytes) { Namespaces = false, DtdProcessing = DtdProcessing.Prohibit };

    /// <summary>Converts the parser's lines and columns to offsets.</summary>
    private sealed class Positions
    {
        private readonly List<int> _lines = [0];

        public Positions(string text)
        {
            for (int i = 0; i < text.Length; i++)
            {
                if (text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.Length || text[i + 1] != '\n'))) _lines.Add(i + 1);
            }
        }

        /// <summary>The offset of an element's or end tag's name, or of the beginning of any other node.</summary>
        public int Of(XmlTextReader reader) => _lines[reader.LineNumber - 1] + reader.LinePosition - 1;
    }
}
