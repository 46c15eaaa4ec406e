namespace Megaphone.Xmpp;

/// <summary>What is wrong with a stream; <see cref="StreamFault"/> has the description and the condition.</summary>
internal enum StreamFaultKind : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Something other than white space, a declaration or an element is before the stream header.</summary>
    TextBeforeHeader,

    /// <summary>Character data, plain or CDATA, between first-level elements.</summary>
    TextBetweenElements,

    /// <summary>A <c>&lt;</c> begins neither a tag nor anything else.</summary>
    NoTag,

    /// <summary>A tag is cut short by a <c>&lt;</c>.</summary>
    LessInTag,

    /// <summary>A <c>&lt;</c> in an attribute's value.</summary>
    LessInAttribute,

    /// <summary>A <c>/</c> in a start tag that does not end it.</summary>
    SlashInTag,

    /// <summary>A <c>"</c>, <c>'</c> or <c>/</c> in an end tag.</summary>
    MalformedEndTag,

    /// <summary>An end tag without an open element.</summary>
    NothingToEnd,

    /// <summary>A <c>&lt;![</c> that does not begin a CDATA section.</summary>
    NoCharacterData,

    /// <summary>A comment.</summary>
    Comment,

    /// <summary>A processing instruction, or an XML declaration in the wrong place.</summary>
    ProcessingInstruction,

    /// <summary>A document type or one of its declarations.</summary>
    DocumentType,

    /// <summary>The XML declaration is malformed.</summary>
    MalformedDeclaration,

    /// <summary>The XML declaration names another encoding than UTF-8.</summary>
    Encoding,

    /// <summary>An XML declaration is not followed by a stream header.</summary>
    DeclarationWithoutHeader,

    /// <summary>The first element is not <c>stream</c>.</summary>
    NoStreamHeader,

    /// <summary>Elements are nested deeper than <see cref="PieceLexer.MaxDepth"/>.</summary>
    TooDeep,

    /// <summary>A piece is longer than allowed.</summary>
    TooLong,

    /// <summary>The memory for incomplete pieces is used up.</summary>
    NoMemory,

    /// <summary>Its client has waited too long for its turn to log in.</summary>
    WaitedTooLong,

    /// <summary>Over a WebSocket: a message has only a part of an element.</summary>
    NotWhole,

    /// <summary>Over a WebSocket: a message has more than one element.</summary>
    SecondElement,

    /// <summary>Over a WebSocket: the stream was not opened with <c>&lt;open/&gt;</c>, or is opened or ended as over TCP.</summary>
    NotOpened,

    /// <summary>Over a WebSocket: <c>&lt;open/&gt;</c> or <c>&lt;close/&gt;</c> is not an empty element, or not in its place.</summary>
    MalformedOpen,
}
