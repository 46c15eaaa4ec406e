using System.Text;
using System.Xml;

namespace Megaphone.Tests.Xmpp;

/// <summary>A real XML parser, System.Xml, that decides what is well formed and where elements begin and end.</summary>
/// <remarks>Pieces are in Latin 1, one character for each byte; whole streams are text.</remarks>
internal static class ReferenceParser
{
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

                // What came before ends where this begins.
                int here = positions.Of(reader) - (closes ? 2 : reader.NodeType == XmlNodeType.Element ? 1 : 0);
                if (begin >= 0) pieces.Add(stream[begin..here]);
                begin = -1;
                switch (reader.NodeType)
                {
                    case XmlNodeType.XmlDeclaration:
                        // This judge reads text, and takes any version.
                        if (reader.GetAttribute("encoding")?.ToUpperInvariant() is not (null or "UTF-8")) return null;
                        if (reader.GetAttribute("version") != "1.0") return null;
                        break;
                    case XmlNodeType.Element:
                        if ((reader.Name.Split(':')[^1] == "stream") != (reader.Depth == 0)) return null;
                        if (reader is { Depth: 0, IsEmptyElement: true }) return null;
                        begin = here;
                        break;
                    case XmlNodeType.EndElement:
                        pieces.Add(stream[here..].TrimEnd(' ', '\t', '\r', '\n'));
                        break;
                    case XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                        // A reference to white space is none where only white space may stand.
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

    /// <summary>How many first-level elements a piece would be in a stream by itself; null when it is not well formed there.</summary>
    public static int? ElementsIn(string piece)
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

    /// <summary>Whether an end is all that a piece lacks to be well formed: it is the beginning of an element.</summary>
    public static bool IsHalf(string piece)
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

    /// <summary>Prefixes are names like others here: a piece by itself does not declare those of its stream.</summary>
    private static XmlTextReader Reader(TextReader text) => new(text) { Namespaces = false, DtdProcessing = DtdProcessing.Prohibit };

    private static XmlTextReader Reader(Stream bytes) => new(bytes) { Namespaces = false, DtdProcessing = DtdProcessing.Prohibit };

    /// <summary>Turns the judge's lines and columns into offsets.</summary>
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

        /// <summary>Where the name of an element or end tag stands, or where any other node begins.</summary>
        public int Of(XmlTextReader reader) => _lines[reader.LineNumber - 1] + reader.LinePosition - 1;
    }
}
