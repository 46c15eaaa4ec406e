namespace Megaphone.Xmpp;

/// <summary>Why <see cref="PieceLexer.Run"/> stopped.</summary>
internal enum LexerStop
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
