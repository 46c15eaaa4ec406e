using System.Runtime.InteropServices;

namespace Megaphone.Xmpp;

/// <summary>
/// The state of one client's stream between two bytes: 24 bytes. The default is a stream that has not begun.
/// </summary>
/// <remarks>
/// It owns the native memory at <see cref="Buffer"/>, so it must not be copied, and its owner calls
/// <see cref="StreamSplitter.Release"/> when the client disconnects, in whatever way. Aligned to four bytes, so that eight or
/// four bytes of other state beside it need no padding.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct StreamState
{
    /// <summary>The beginning of a piece that has not arrived whole, in native memory; null when there is none.</summary>
    internal byte* Buffer;

    /// <summary>Bytes of the stream that have been consumed so far.</summary>
    internal long Offset;

    /// <summary>Bytes in the buffer: those of the incomplete piece. They determine the buffer's size.</summary>
    internal int Length;

    /// <summary>Elements that are open, the stream's own included.</summary>
    internal ushort Depth;

    /// <summary>The lexer's position.</summary>
    internal LexerState Lexer;

    private Marks _marks;

    [Flags]
    private enum Marks : byte
    {
        None = 0,
        Declared = 1,
        Stranger = 2,
        Stale = 4,
    }

    /// <summary>Whether an XML declaration has arrived, and the header that must follow it has not.</summary>
    internal bool Declared
    {
        readonly get => (_marks & Marks.Declared) != 0;
        set => Set(Marks.Declared, value);
    }

    /// <summary>Whether its client has not logged in: then it gets less memory. For its owner to set.</summary>
    internal bool IsStranger
    {
        readonly get => (_marks & Marks.Stranger) != 0;
        set => Set(Marks.Stranger, value);
    }

    /// <summary>Whether its piece was incomplete when it was last looked at. For its owner to set; a new piece is not.</summary>
    internal bool IsStale
    {
        readonly get => (_marks & Marks.Stale) != 0;
        set => Set(Marks.Stale, value);
    }

    /// <summary>Whether a fault was found: nothing more is accepted from this stream.</summary>
    public readonly bool IsRefused => Lexer == LexerState.Refused;

    /// <summary>Whether something other than white space has followed the closing tag: all further input is discarded.</summary>
    public readonly bool IsDiscarding => Lexer == LexerState.Discarding;

    /// <summary>Whether a piece has begun and is not complete.</summary>
    public readonly bool IsWithinPiece =>
        Lexer is not (LexerState.Between or LexerState.Ended or LexerState.Discarding or LexerState.Refused);

    private void Set(Marks mark, bool value) => _marks = value ? _marks | mark : _marks & ~mark;
}
