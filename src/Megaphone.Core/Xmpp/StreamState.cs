using System.Runtime.InteropServices;

namespace Megaphone.Xmpp;

/// <summary>
/// What is known of one client's stream between two of its bytes: 24 bytes. The default is a stream that has not begun.
/// </summary>
/// <remarks>
/// It owns the native memory at <see cref="Buffer"/>, so it must not be copied, and whoever keeps it calls
/// <see cref="StreamSplitter.Release"/> when the client goes, in whatever way. Aligned to four bytes, so that eight or
/// four bytes of other state beside it cost no padding.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct StreamState
{
    /// <summary>The beginning of a piece that has not arrived whole, in native memory; null when there is none.</summary>
    internal byte* Buffer;

    /// <summary>Bytes of the stream that have been taken so far.</summary>
    internal long Offset;

    /// <summary>Bytes in the buffer: those of the incomplete piece. How large the buffer is follows from this alone.</summary>
    internal int Length;

    /// <summary>Elements that are open, the stream's own included.</summary>
    internal ushort Depth;

    /// <summary>Where the lexer stands.</summary>
    internal LexerState Lexer;

    /// <summary>An XML declaration has come, and the header that must follow it has not.</summary>
    internal bool Declared;

    /// <summary>Whether a fault was found: nothing more is taken from this stream.</summary>
    public readonly bool IsRefused => Lexer == LexerState.Refused;

    /// <summary>Whether something other than white space has come behind the closing tag: nothing that comes is looked at any more.</summary>
    public readonly bool IsDiscarding => Lexer == LexerState.Discarding;

    /// <summary>Whether a piece has begun and is not complete.</summary>
    public readonly bool IsWithinPiece =>
        Lexer is not (LexerState.Between or LexerState.Ended or LexerState.Discarding or LexerState.Refused);
}
