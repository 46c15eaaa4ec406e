using System.Diagnostics;
using System.Numerics;

namespace Megaphone.Xmpp;

/// <summary>
/// Splits clients' XMPP streams into pieces: the stream header, each complete first-level element, and the closing tag,
/// byte for byte as they were received. A stream's state between two calls is in its <see cref="StreamState"/>.
/// </summary>
/// <remarks>
/// <para>The grammar, of which everything but <c>space</c> and <c>declaration</c> becomes pieces (RFC 6120, sections 4.2, 4.4 and 11.1;
/// the header is repeated after SASL, section 4.3.3):</para>
/// <code>
/// stream = header ( header | element )* closing-tag, or an empty header element; with space before, between and after;
///          anything else after the end is discarded
/// header = [ declaration space ] '&lt;' [ prefix ':' ] 'stream' … '&gt;'
/// </code>
/// <para>A piece that arrives whole is not copied. One that is cut is kept in native memory of at most the piece's greatest
/// length, allocated from <see cref="PieceMemory"/> as it arrives.</para>
/// <para>Thread-safe, if each stream is used by one thread at a time.</para>
/// </remarks>
/// <param name="memory">The memory for incomplete pieces.</param>
internal sealed unsafe class StreamSplitter(PieceMemory memory)
{
    private const int SmallestBuffer = 256;

    /// <summary>Finds the next piece.</summary>
    /// <param name="stream">The client's; the previous piece becomes invalid.</param>
    /// <param name="maxPieceBytes">The longest piece that is accepted, the same throughout a stream.</param>
    /// <param name="unread">What has arrived; what is consumed is removed from its front.</param>
    /// <param name="piece">
    /// With <see cref="Step.Piece"/>, the piece. It lies in <paramref name="unread"/> or in the stream's buffer, and is
    /// valid until the next call for this stream, which frees the buffer: call until the result is another one.
    /// </param>
    /// <param name="fault">With <see cref="Step.Refused"/>, why. Nothing more of that stream may be passed.</param>
    /// <param name="limit">The longest piece that is accepted now, if that is less.</param>
    public Step Next(
        ref StreamState stream, int maxPieceBytes, ref ReadOnlySpan<byte> unread, out ReadOnlySpan<byte> piece, out StreamFault? fault,
        int limit = int.MaxValue)
    {
        Debug.Assert(!stream.IsRefused);
        piece = default;
        fault = null;
        if (!stream.IsWithinPiece) Free(ref stream, maxPieceBytes);
        while (true)
        {
            int at = 0;
            if (!stream.IsWithinPiece)
            {
                Consume(ref stream, ref unread, XmlBytes.CountWhiteSpace(unread));
                if (unread.IsEmpty) return Step.Incomplete;
                if (stream.Lexer is LexerState.Ended or LexerState.Discarding)
                {
                    // A client must not send anything after its closing tag (RFC 6120, section 4.4). Libraries that send a late
                    // acknowledgement or keepalive do no harm, and an error would not help them.
                    stream.Lexer = LexerState.Discarding;
                    Consume(ref stream, ref unread, unread.Length);
                    return Step.Incomplete;
                }

                if (!MayBegin(stream, unread[0], out StreamFaultKind wrong))
                {
                    fault = Refuse(ref stream, maxPieceBytes, wrong, 0);
                    return Step.Refused;
                }

                stream.Lexer = LexerState.Open;
                stream.IsStale = false;
                at = 1;
            }

            switch (Continue(ref stream, maxPieceBytes, limit, ref unread, ref at, out piece, out StreamFaultKind kind))
            {
                case PieceLexer.Stop.InputEnd:
                    return Step.Incomplete;
                case PieceLexer.Stop.Fault:
                    fault = Refuse(ref stream, maxPieceBytes, kind, at);
                    return Step.Refused;
                case PieceLexer.Stop.Declaration:
                    Free(ref stream, maxPieceBytes);
                    continue;
                default:
                    return Step.Piece;
            }
        }
    }

    /// <summary>Refuses a stream for a reason of the caller's, after the last piece.</summary>
    public StreamFault Refuse(ref StreamState stream, int maxPieceBytes, StreamFaultKind kind) =>
        Refuse(ref stream, maxPieceBytes, kind, -1);

    /// <summary>Frees a stream's memory; to be called once when its client disconnects. Resets the stream to its beginning.</summary>
    public void Release(ref StreamState stream, int maxPieceBytes)
    {
        Free(ref stream, maxPieceBytes);
        stream = default;
    }

    /// <summary>The memory that a stream holds, in bytes.</summary>
    public static int HeldBy(in StreamState stream, int maxPieceBytes) => CapacityFor(stream.Length, maxPieceBytes);

    private static bool MayBegin(in StreamState stream, byte first, out StreamFaultKind wrong)
    {
        wrong = stream switch
        {
            { Declared: true } => StreamFaultKind.DeclarationWithoutHeader,
            { Depth: 0 } => StreamFaultKind.TextBeforeHeader,
            _ => StreamFaultKind.TextBetweenElements,
        };
        return first == '<';
    }

    /// <summary>
    /// Continues with a piece, from <paramref name="at"/> on, until it is complete or the input ends. With
    /// <see cref="PieceLexer.Stop.Fault"/> the byte at <paramref name="at"/> is the faulty one.
    /// </summary>
    private PieceLexer.Stop Continue(
        ref StreamState stream, int max, int limit, ref ReadOnlySpan<byte> unread, scoped ref int at, out ReadOnlySpan<byte> piece,
        out StreamFaultKind fault)
    {
        piece = default;
        ReadOnlySpan<byte> allowed = unread[..Math.Clamp(Math.Min(max, limit) - stream.Length, 0, unread.Length)];
        while (true)
        {
            PieceLexer.Stop stop = PieceLexer.Run(ref stream, allowed, ref at, out fault);
            if (stop == PieceLexer.Stop.Fault)
            {
                at--;
                return stop;
            }

            if (stop == PieceLexer.Stop.InputEnd && allowed.Length < unread.Length)
            {
                fault = StreamFaultKind.TooLong;
                return PieceLexer.Stop.Fault;
            }

            // From here on what was read is contiguous: whole in the input, or all of it in the buffer.
            bool buffered = stream.Length > 0 || stop == PieceLexer.Stop.InputEnd;
            if (buffered && !TryBuffer(ref stream, max, allowed[..at]))
            {
                at = Math.Max(0, at - 1);
                fault = StreamFaultKind.NoMemory;
                return PieceLexer.Stop.Fault;
            }

            ReadOnlySpan<byte> whole = buffered ? new ReadOnlySpan<byte>(stream.Buffer, stream.Length) : allowed[..at];
            fault = CheckPiece(ref stream, stop, whole, out bool complete);
            if (fault != StreamFaultKind.None)
            {
                at--;
                return PieceLexer.Stop.Fault;
            }

            if (complete) piece = whole;
            if (complete || buffered)
            {
                Consume(ref stream, ref unread, at);
                allowed = allowed[at..];
                at = 0;
            }

            if (complete || stop == PieceLexer.Stop.InputEnd) return stop;
        }
    }

    /// <summary>
    /// Decides whether the piece is complete, and checks it, when something at the first level is: <paramref name="whole"/> is the
    /// piece so far, <paramref name="complete"/> whether that is all of it.
    /// </summary>
    private static StreamFaultKind CheckPiece(ref StreamState stream, PieceLexer.Stop stop, ReadOnlySpan<byte> whole, out bool complete)
    {
        complete = stop != PieceLexer.Stop.InputEnd;
        switch (stop)
        {
            case PieceLexer.Stop.StartTag or PieceLexer.Stop.EmptyTag:
                bool isHeader = XmlBytes.IsStream(whole[1..], out _);
                if (!isHeader && stream.Depth == 0) return StreamFaultKind.NoStreamHeader;
                if (!isHeader && stream.Declared) return StreamFaultKind.DeclarationWithoutHeader;
                stream.Declared = false;
                if (stop == PieceLexer.Stop.EmptyTag)
                {
                    stream.Lexer = isHeader ? LexerState.Ended : LexerState.Between;
                }
                else if (isHeader)
                {
                    // The first header, or one that replaces it: only the stream is open.
                    stream.Depth = 1;
                    stream.Lexer = LexerState.Between;
                }
                else
                {
                    stream.Depth = 2;
                    complete = false;
                }

                return StreamFaultKind.None;

            case PieceLexer.Stop.ClosingTag:
                if (stream.Declared) return StreamFaultKind.DeclarationWithoutHeader;
                if (!XmlBytes.IsStream(whole[2..], out ReadOnlySpan<byte> after)) return StreamFaultKind.NothingToEnd;
                if (XmlBytes.CountWhiteSpace(after) != after.Length - 1) return StreamFaultKind.MalformedEndTag;
                stream.Lexer = LexerState.Ended;
                return StreamFaultKind.None;

            case PieceLexer.Stop.Element:
                stream.Lexer = LexerState.Between;
                return StreamFaultKind.None;

            case PieceLexer.Stop.Declaration:
                stream.Declared = true;
                return XmlDeclaration.Check(whole);

            default:
                return StreamFaultKind.None;
        }
    }

    /// <summary>The beginning of a piece that is held, valid until the next call.</summary>
    public static ReadOnlySpan<byte> Held(in StreamState stream) => new(stream.Buffer, stream.Length);

    /// <summary>Gives a state that came without its memory a copy of what it held.</summary>
    /// <returns>False when the state cannot be, or there is no memory.</returns>
    public bool TryRestore(ref StreamState stream, int maxPieceBytes, ReadOnlySpan<byte> held)
    {
        stream.Buffer = null;
        stream.Length = 0;
        bool isPossible = held.Length <= maxPieceBytes && stream.Lexer <= LexerState.Refused && stream.Offset >= 0
            && (held.IsEmpty || stream.IsWithinPiece);
        if (!isPossible || held.IsEmpty) return isPossible;
        stream.Buffer = memory.Keep(CapacityFor(held.Length, maxPieceBytes));
        held.CopyTo(new Span<byte>(stream.Buffer, held.Length));
        stream.Length = held.Length;
        return true;
    }

    /// <summary>Buffers bytes of a piece that is not complete, or that they complete.</summary>
    private bool TryBuffer(ref StreamState stream, int max, ReadOnlySpan<byte> bytes)
    {
        int length = stream.Length + bytes.Length;
        int from = CapacityFor(stream.Length, max), to = CapacityFor(length, max);
        if (to > from && !memory.TryResize(ref stream.Buffer, from, to, stream.IsStranger)) return false;
        bytes.CopyTo(new Span<byte>(stream.Buffer + stream.Length, bytes.Length));
        stream.Length = length;
        return true;
    }

    /// <summary>The size of the buffer for this many bytes: it doubles, up to the longest piece.</summary>
    private static int CapacityFor(int length, int max) =>
        length == 0 ? 0 : Math.Min(max, (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(length, SmallestBuffer)));

    private void Free(ref StreamState stream, int max)
    {
        if (stream.Length == 0) return;
        memory.Free(ref stream.Buffer, CapacityFor(stream.Length, max));
        stream.Length = 0;
    }

    private static void Consume(ref StreamState stream, ref ReadOnlySpan<byte> unread, int count)
    {
        stream.Offset += count;
        unread = unread[count..];
    }

    private StreamFault Refuse(ref StreamState stream, int max, StreamFaultKind kind, int at)
    {
        StreamFault fault = new(kind, stream.Offset + at);
        Free(ref stream, max);
        stream.Lexer = LexerState.Refused;
        return fault;
    }

    /// <summary>What <see cref="StreamSplitter.Next"/> found.</summary>
    internal enum Step
    {
        /// <summary>A piece of the stream is complete.</summary>
        Piece,

        /// <summary>All input was consumed, and more is needed for the next piece.</summary>
        Incomplete,

        /// <summary>The stream is refused, and stays so.</summary>
        Refused,
    }
}
