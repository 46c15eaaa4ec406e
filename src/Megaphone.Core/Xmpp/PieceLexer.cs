using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Megaphone.Xmpp;

/// <summary>
/// Follows the structure of the XML that XMPP allows (RFC 6120, section 11.1), byte by byte, within a piece of a stream.
/// No I/O; allocates nothing.
/// </summary>
/// <remarks>
/// <para>The part of XML's grammar that decides where elements end:</para>
/// <code>
/// element  = '&lt;' name … ( '/&gt;' | '&gt;' content '&lt;/' name … '&gt;' )
/// …        = ( none of &lt; &gt; / " ' | '"' ( neither '"' nor '&lt;' )* '"' | the same with ' )*
/// content  = ( all but '&lt;' | element | '&lt;![CDATA[' all but ']]&gt;' ']]&gt;' )*
/// </code>
/// <para>Names are not compared, and attributes, references and characters are not checked: that is left to the
/// server's parser, which gets each piece by itself. For well-formed input the two agree on where each element ends.</para>
/// <para>In content, tags and values, where nearly all bytes are, only few bytes are significant; those are found 64 at a time.</para>
/// </remarks>
internal static class PieceLexer
{
    /// <summary>How deep elements may be nested, the stream's own included. Usual stanzas stay below 20.</summary>
    public const int MaxDepth = 1024;

    private static ReadOnlySpan<byte> CDataLetters => "CDATA["u8;

    private static ReadOnlySpan<byte> DeclarationLetters => "xml"u8;

    /// <summary>Continues within a piece until the input ends or something at the first level is complete.</summary>
    /// <param name="stream">The stream's state, within a piece.</param>
    /// <param name="input">What has arrived.</param>
    /// <param name="at">Where in it to begin; afterwards the index after the last byte that was read.</param>
    /// <param name="fault">With <see cref="Stop.Fault"/>, what is wrong.</param>
    public static Stop Run(ref StreamState stream, ReadOnlySpan<byte> input, ref int at, out StreamFaultKind fault)
    {
        fault = StreamFaultKind.None;
        LexerState state = stream.Lexer;
        int depth = stream.Depth;
        int next = at;
        int block = next - MarkupMasks.Size;
        Unsafe.SkipInit(out MarkupMasks masks);
        Stop stop = Stop.InputEnd;
        while (stop == Stop.InputEnd && next < input.Length)
        {
            if (next - block >= MarkupMasks.Size) block = LoadBlock(input, next, out masks);
            switch (state)
            {
                case LexerState.Text:
                    if (!TryFind(masks.Less, block, ref next)) break;
                    next++;
                    state = LexerState.Open;
                    break;

                case LexerState.Open:
                    byte first = input[next++];
                    if (XmlBytes.MayBeginName(first)) state = LexerState.StartTag;
                    else if (first == '/' && depth > 0) state = LexerState.EndTagOpen;
                    else if (first == '!') state = LexerState.Bang;
                    else if (first == '?' && depth <= 1 && !stream.Declared) state = LexerState.DeclarationOpen;
                    else fault = first switch
                    {
                        (byte)'/' => StreamFaultKind.NothingToEnd,
                        (byte)'?' => StreamFaultKind.ProcessingInstruction,
                        _ => StreamFaultKind.NoTag,
                    };
                    break;

                case LexerState.StartTag:
                    if (!TryFind(masks.Tag, block, ref next)) break;
                    switch (input[next++])
                    {
                        case (byte)'"':
                            state = LexerState.DoubleQuoted;
                            break;
                        case (byte)'\'':
                            state = LexerState.SingleQuoted;
                            break;
                        case (byte)'/':
                            state = LexerState.StartTagSlash;
                            break;
                        case (byte)'<':
                            fault = StreamFaultKind.LessInTag;
                            break;
                        default:
                            if (depth <= 1) stop = Stop.StartTag;
                            else if (depth == MaxDepth) fault = StreamFaultKind.TooDeep;
                            else depth++;
                            state = LexerState.Text;
                            break;
                    }

                    break;

                case LexerState.DoubleQuoted:
                    if (!TryFind(masks.DoubleQuoteOrLess, block, ref next)) break;
                    if (input[next++] == '<') fault = StreamFaultKind.LessInAttribute;
                    state = LexerState.StartTag;
                    break;

                case LexerState.SingleQuoted:
                    if (!TryFind(masks.SingleQuoteOrLess, block, ref next)) break;
                    if (input[next++] == '<') fault = StreamFaultKind.LessInAttribute;
                    state = LexerState.StartTag;
                    break;

                case LexerState.StartTagSlash:
                    if (input[next++] != '>') fault = StreamFaultKind.SlashInTag;
                    else if (depth <= 1) stop = Stop.EmptyTag;
                    state = LexerState.Text;
                    break;

                case LexerState.EndTagOpen:
                    if (!XmlBytes.MayBeginName(input[next++])) fault = StreamFaultKind.NoTag;
                    state = LexerState.EndTag;
                    break;

                case LexerState.EndTag:
                    if (!TryFind(masks.Tag, block, ref next)) break;
                    byte last = input[next++];
                    if (last == '<') fault = StreamFaultKind.LessInTag;
                    else if (last != '>') fault = StreamFaultKind.MalformedEndTag;
                    else if (depth == 1) stop = Stop.ClosingTag;
                    else if (--depth == 1) stop = Stop.Element;
                    state = LexerState.Text;
                    break;

                default:
                    (state, stop, fault) = StepRare(state, depth, input, ref next);
                    break;
            }

            if (fault != StreamFaultKind.None) stop = Stop.Fault;
        }

        stream.Lexer = state;
        stream.Depth = (ushort)depth;
        at = Math.Min(next, input.Length);
        return stop;
    }

    /// <summary>Handles the rare states: CDATA sections, XML declarations, and forbidden markup that begins like them.</summary>
    private static (LexerState State, Stop Stop, StreamFaultKind Fault) StepRare(
        LexerState state, int depth, ReadOnlySpan<byte> input, ref int next)
    {
        byte value = input[next++];
        switch (state)
        {
            case LexerState.Bang:
                if (value == '-') return Refused(StreamFaultKind.Comment);
                if (char.IsAsciiLetter((char)value)) return Refused(StreamFaultKind.DocumentType);
                if (value != '[') return Refused(StreamFaultKind.NoTag);
                return depth switch
                {
                    0 => Refused(StreamFaultKind.TextBeforeHeader),
                    1 => Refused(StreamFaultKind.TextBetweenElements),
                    _ => To(LexerState.CDataOpen),
                };

            case >= LexerState.CDataOpen and <= LexerState.CDataOpenLast:
                return value == CDataLetters[state - LexerState.CDataOpen] ? To(state + 1) : Refused(StreamFaultKind.NoCharacterData);

            case LexerState.CData:
                if (value == ']') return To(LexerState.CDataBracket);
                int bracket = input[next..].IndexOf((byte)']');
                next = bracket < 0 ? input.Length : next + bracket;
                return To(LexerState.CData);

            case LexerState.CDataBracket:
                return To(value == ']' ? LexerState.CDataBrackets : LexerState.CData);

            case LexerState.CDataBrackets:
                if (value == '>') return To(LexerState.Text);
                return To(value == ']' ? LexerState.CDataBrackets : LexerState.CData);

            case >= LexerState.DeclarationOpen and <= LexerState.DeclarationOpenLast:
                return value == DeclarationLetters[state - LexerState.DeclarationOpen]
                    ? To(state + 1)
                    : Refused(StreamFaultKind.ProcessingInstruction);

            case LexerState.DeclarationName:
                return XmlBytes.IsWhiteSpace(value) ? To(LexerState.Declaration) : Refused(StreamFaultKind.ProcessingInstruction);

            case LexerState.Declaration:
                return To(value == '?' ? LexerState.DeclarationQuestion : LexerState.Declaration);

            case LexerState.DeclarationQuestion:
                if (value != '>') return Refused(StreamFaultKind.MalformedDeclaration);
                return (LexerState.Between, Stop.Declaration, StreamFaultKind.None);

            default:
                throw new ArgumentOutOfRangeException(nameof(state), state, "The lexer is not within a piece.");
        }
    }

    private static (LexerState State, Stop Stop, StreamFaultKind Fault) To(LexerState state) =>
        (state, Stop.InputEnd, StreamFaultKind.None);

    private static (LexerState State, Stop Stop, StreamFaultKind Fault) Refused(StreamFaultKind fault) =>
        (LexerState.Refused, Stop.Fault, fault);

    /// <summary>Finds the next significant byte within the block.</summary>
    /// <param name="mask">The positions of such bytes in the block.</param>
    /// <param name="block">Where the block begins; <paramref name="next"/> lies within it.</param>
    /// <param name="next">Where to begin; afterwards the byte found, or the end of the block.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryFind(ulong mask, int block, ref int next)
    {
        ulong ahead = mask >> (next - block);
        next = ahead != 0 ? next + BitOperations.TrailingZeroCount(ahead) : block + MarkupMasks.Size;
        return ahead != 0;
    }

    /// <summary>Scans 64 bytes from <paramref name="next"/> on; if there are fewer, the last 64 of the input.</summary>
    /// <returns>The index at which the scanned block begins.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int LoadBlock(ReadOnlySpan<byte> input, int next, out MarkupMasks masks)
    {
        int lastBlock = input.Length - MarkupMasks.Size;
        if (lastBlock < 0) return LoadShort(input, out masks);
        int block = Math.Min(next, lastBlock);
        MarkupMasks.Load(ref Unsafe.Add(ref MemoryMarshal.GetReference(input), block), out masks);
        return block;
    }

    /// <summary>The same for an input shorter than a block: it is padded with zeros, which are not significant.</summary>
    private static int LoadShort(ReadOnlySpan<byte> input, out MarkupMasks masks)
    {
        Span<byte> padded = stackalloc byte[MarkupMasks.Size];
        padded.Clear();
        input.CopyTo(padded);
        MarkupMasks.Load(ref MemoryMarshal.GetReference(padded), out masks);
        return 0;
    }

    /// <summary>Why <see cref="PieceLexer.Run"/> stopped.</summary>
    internal enum Stop
    {
        /// <summary>The input is consumed.</summary>
        InputEnd,

        /// <summary>A start tag at the first level, or the stream header's, is complete. It is not counted in the depth yet.</summary>
        StartTag,

        /// <summary>The same, but it ends with <c>/&gt;</c>.</summary>
        EmptyTag,

        /// <summary>An end tag at the first level is complete: the stream's. It is not counted in the depth yet.</summary>
        ClosingTag,

        /// <summary>A first-level element is complete.</summary>
        Element,

        /// <summary>An XML declaration is complete.</summary>
        Declaration,

        /// <summary>The stream is invalid; the last byte read is the faulty one.</summary>
        Fault,
    }
}
