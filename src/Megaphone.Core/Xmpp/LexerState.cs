namespace Megaphone.Xmpp;

/// <summary>The lexer's position in a stream's XML: all that is needed to continue at any byte.</summary>
internal enum LexerState : byte
{
    /// <summary>Between pieces; where every stream begins.</summary>
    Between,

    /// <summary>After <c>&lt;</c>.</summary>
    Open,

    /// <summary>In a start tag, outside of quotes.</summary>
    StartTag,

    /// <summary>After the <c>/</c> that must end a start tag.</summary>
    StartTagSlash,

    /// <summary>In an attribute's value in double quotes.</summary>
    DoubleQuoted,

    /// <summary>In an attribute's value in single quotes.</summary>
    SingleQuoted,

    /// <summary>After <c>&lt;/</c>.</summary>
    EndTagOpen,

    /// <summary>In the name of an end tag.</summary>
    EndTag,

    /// <summary>In an element's content.</summary>
    Text,

    /// <summary>After <c>&lt;!</c>.</summary>
    Bang,

    /// <summary>After <c>&lt;![</c>; the next five states are one letter of <c>CDATA[</c> further each.</summary>
    CDataOpen,

    /// <summary>The last letter of <c>CDATA[</c> is missing.</summary>
    CDataOpenLast = CDataOpen + 5,

    /// <summary>In a CDATA section.</summary>
    CData,

    /// <summary>After <c>]</c> in a CDATA section.</summary>
    CDataBracket,

    /// <summary>After <c>]]</c> in a CDATA section.</summary>
    CDataBrackets,

    /// <summary>After <c>&lt;?</c>; the next two states are one letter of <c>xml</c> further each.</summary>
    DeclarationOpen,

    /// <summary>The last letter of <c>xml</c> is missing.</summary>
    DeclarationOpenLast = DeclarationOpen + 2,

    /// <summary>After <c>&lt;?xml</c>, which must be followed by white space.</summary>
    DeclarationName,

    /// <summary>In an XML declaration.</summary>
    Declaration,

    /// <summary>After <c>?</c> in an XML declaration.</summary>
    DeclarationQuestion,

    /// <summary>After the closing tag: only white space should follow.</summary>
    Ended,

    /// <summary>Something else has followed the closing tag: all further input is discarded.</summary>
    Discarding,

    /// <summary>The stream is refused, and stays so.</summary>
    Refused,
}
