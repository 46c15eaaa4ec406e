using System.Security;
using System.Text;
using Megaphone.Xmpp;

namespace Megaphone.Web;

/// <summary>
/// XMPP over WebSocket and over TCP are one stream in two forms (RFC 7395, section 3.3; RFC 6120, section 4): this turns <c>&lt;open/&gt;</c> and
/// <c>&lt;close/&gt;</c> into the stream's header and end, and back, and makes a server's pieces stand by themselves. No I/O; allocates nothing.
/// </summary>
internal static class FramedStream
{
    /// <summary>The most that <see cref="WriteHeader"/> and <see cref="WriteOpen"/> write beyond the length of what they are given.</summary>
    public const int MostMore = 128;

    /// <summary>The stream's end over TCP.</summary>
    public static ReadOnlySpan<byte> End => "</stream:stream>"u8;

    /// <summary>The stream's end over a WebSocket. Strophe compares it byte by byte, and so knows an end in the middle of a stream.</summary>
    public static ReadOnlySpan<byte> Close => "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />"u8;

    private static ReadOnlySpan<byte> Namespace => "urn:ietf:params:xml:ns:xmpp-framing"u8;

    private static ReadOnlySpan<byte> HeaderStart => "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"u8;

    private static ReadOnlySpan<byte> OpenStart => "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\""u8;

    private static ReadOnlySpan<byte> ClientNamespace => " xmlns='jabber:client'"u8;

    private static ReadOnlySpan<byte> StreamNamespace => " xmlns:stream='http://etherx.jabber.org/streams'"u8;

    private static ReadOnlySpan<byte> BothNamespaces => " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"u8;

    /// <summary>The stream's end for a client that is to go elsewhere (RFC 7395, section 3.6.1).</summary>
    /// <param name="uri">Where to.</param>
    public static byte[] CloseFor(string uri) =>
        Encoding.UTF8.GetBytes($"<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" see-other-uri=\"{SecurityElement.Escape(uri)}\" />");

    /// <summary>Says what a client's message is.</summary>
    /// <param name="message">Valid UTF-8.</param>
    /// <param name="life">How far its stream is; goes on with it.</param>
    /// <param name="piece">The message without white space around it.</param>
    /// <param name="fault">With <see cref="FramedMessage.Fault"/>, what is wrong; its offset is that in the message.</param>
    public static FramedMessage Read(ReadOnlySpan<byte> message, ref FramedLife life, out ReadOnlySpan<byte> piece, out StreamFault? fault)
    {
        fault = null;
        int before = XmlBytes.CountWhiteSpace(message);
        piece = message[before..].TrimEnd(XmlBytes.WhiteSpace);
        if (piece.IsEmpty || life == FramedLife.Closed) return FramedMessage.Nothing;
        StreamFaultKind kind = FindFault(piece, out int at, out int tagLength);
        if (kind == StreamFaultKind.None)
        {
            ReadOnlySpan<byte> tag = piece[..tagLength];
            ReadOnlySpan<byte> name = XmlTag.Name(piece);
            bool isOpen = name.SequenceEqual("open"u8), isClose = name.SequenceEqual("close"u8);
            if ((isOpen || isClose) && IsFraming(tag, out bool isMalformed))
            {
                bool isEmpty = piece.Length == tag.Length || IsEndOf(name, piece[tagLength..]);
                if (isEmpty && !isMalformed && (isOpen || life == FramedLife.Open))
                {
                    life = isOpen ? FramedLife.Open : FramedLife.Closed;
                    return isOpen ? FramedMessage.Open : FramedMessage.Close;
                }

                kind = StreamFaultKind.MalformedOpen;
            }
            else if (life == FramedLife.Open && !XmlBytes.IsStream(piece[1..], out _))
            {
                return FramedMessage.Element;
            }
            else
            {
                kind = StreamFaultKind.NotOpened;
            }
        }

        fault = new StreamFault(kind, before + at);
        return FramedMessage.Fault;
    }

    /// <summary>Writes the stream header that <c>&lt;open/&gt;</c> stands for, with all its attributes.</summary>
    /// <param name="open">As <see cref="Read"/> has found it.</param>
    /// <param name="to">At least <see cref="MostMore"/> longer than it.</param>
    /// <returns>The bytes written.</returns>
    public static int WriteHeader(ReadOnlySpan<byte> open, Span<byte> to) => Write(HeaderStart, open, ">"u8, to);

    /// <summary>Writes the <c>&lt;open/&gt;</c> that a server's stream header stands for, with all its attributes.</summary>
    /// <param name="header">From <c>&lt;</c> to <c>&gt;</c>.</param>
    /// <param name="to">At least <see cref="MostMore"/> longer than it.</param>
    /// <returns>The bytes written; 0 when the header is malformed.</returns>
    public static int WriteOpen(ReadOnlySpan<byte> header, Span<byte> to) => Write(OpenStart, header, " />"u8, to);

    /// <summary>What a server's first-level element lacks to stand by itself: namespaces that only the stream header has declared.</summary>
    /// <param name="element">The element, whole.</param>
    /// <param name="at">Where it belongs.</param>
    /// <returns>Empty when it has all.</returns>
    public static ReadOnlySpan<byte> MissingNamespaces(ReadOnlySpan<byte> element, out int at)
    {
        ReadOnlySpan<byte> name = XmlTag.Name(element);
        at = 1 + name.Length;
        bool needsStream = name.StartsWith("stream:"u8), needsDefault = true;
        TagAttributes attributes = new(element[..TagLength(element)]);
        while (attributes.Next())
        {
            if (attributes.Name.SequenceEqual("xmlns"u8)) needsDefault = false;
            else if (attributes.Name.SequenceEqual("xmlns:stream"u8)) needsStream = false;
        }

        return (needsDefault, needsStream) switch
        {
            (true, true) => BothNamespaces,
            (true, false) => ClientNamespace,
            (false, true) => StreamNamespace,
            _ => default,
        };
    }

    private static int Write(ReadOnlySpan<byte> start, ReadOnlySpan<byte> tag, ReadOnlySpan<byte> end, Span<byte> to)
    {
        start.CopyTo(to);
        int length = start.Length;
        TagAttributes attributes = new(tag[..TagLength(tag)]);
        while (attributes.Next())
        {
            if (attributes.Name.SequenceEqual("xmlns"u8) || attributes.Name.SequenceEqual("xmlns:stream"u8)) continue;
            to[length++] = (byte)' ';
            attributes.Name.CopyTo(to[length..]);
            length += attributes.Name.Length;
            to[length++] = (byte)'=';
            attributes.Quoted.CopyTo(to[length..]);
            length += attributes.Quoted.Length;
        }

        if (attributes.IsMalformed) return 0;
        end.CopyTo(to[length..]);
        return length + end.Length;
    }

    /// <summary>Whether the tag's own namespace is that of the framing.</summary>
    private static bool IsFraming(ReadOnlySpan<byte> tag, out bool isMalformed)
    {
        bool isFraming = false;
        TagAttributes attributes = new(tag);
        while (attributes.Next()) isFraming |= attributes.Name.SequenceEqual("xmlns"u8) && attributes.Value.SequenceEqual(Namespace);
        isMalformed = attributes.IsMalformed;
        return isFraming;
    }

    private static bool IsEndOf(ReadOnlySpan<byte> name, ReadOnlySpan<byte> rest) =>
        rest.StartsWith("</"u8) && rest[2..].StartsWith(name) && rest[(2 + name.Length)..].Trim(XmlBytes.WhiteSpace).SequenceEqual(">"u8);

    /// <summary>The length of the tag at the front; a <c>&gt;</c> in a value is none of its own.</summary>
    private static int TagLength(ReadOnlySpan<byte> piece)
    {
        for (int at = 0; ; at++)
        {
            at += piece[at..].IndexOfAny((byte)'>', (byte)'"', (byte)'\'');
            if (piece[at] == '>') return at + 1;
            at += 1 + piece[(at + 1)..].IndexOf(piece[at]);
        }
    }

    /// <summary>Whether the piece is one element and nothing else, as far as <see cref="PieceLexer"/> says.</summary>
    /// <param name="piece">Not empty, without white space around it.</param>
    /// <param name="at">With a fault, where it is.</param>
    /// <param name="tagLength">The length of its first tag.</param>
    private static StreamFaultKind FindFault(ReadOnlySpan<byte> piece, out int at, out int tagLength)
    {
        at = tagLength = 0;
        if (piece[0] != '<') return StreamFaultKind.TextBetweenElements;
        StreamState lexer = new() { Depth = 1, Lexer = LexerState.Open };
        at = 1;
        while (true)
        {
            PieceLexer.Stop stop = PieceLexer.Run(ref lexer, piece, ref at, out StreamFaultKind fault);
            switch (stop)
            {
                case PieceLexer.Stop.StartTag:
                    tagLength = at;
                    lexer.Depth = 2;
                    continue;
                case PieceLexer.Stop.EmptyTag:
                    tagLength = at;
                    break;
                case PieceLexer.Stop.Element:
                    break;
                case PieceLexer.Stop.InputEnd:
                    return StreamFaultKind.NotWhole;
                case PieceLexer.Stop.Declaration:
                    return StreamFaultKind.ProcessingInstruction;
                case PieceLexer.Stop.ClosingTag:
                    return StreamFaultKind.NothingToEnd;
                default:
                    at--;
                    return fault;
            }

            return at == piece.Length ? StreamFaultKind.None : StreamFaultKind.SecondElement;
        }
    }
}
