using System.Globalization;

namespace Megaphone.Xmpp;

/// <summary>Why a client's stream is refused, where, and with which stream error. The same however the stream was cut.</summary>
/// <param name="Kind">What is wrong; not <see cref="StreamFaultKind.None"/>.</param>
/// <param name="Offset">The faulty byte's offset in the stream.</param>
internal sealed record StreamFault(StreamFaultKind Kind, long Offset)
{
    /// <summary>The stream error that the client is sent.</summary>
    public StreamCondition Condition => Explain(Kind).Condition;

    /// <summary>What is wrong, for the log.</summary>
    public string Reason => Explain(Kind).Reason;

    /// <summary>One line for the log.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{StreamErrorText.NameOf(Condition)} at offset {Offset}: {Reason}");

    private static (StreamCondition Condition, string Reason) Explain(StreamFaultKind kind) => kind switch
    {
        StreamFaultKind.TextBeforeHeader =>
            (StreamCondition.NotWellFormed, "the stream must begin with its header"),
        StreamFaultKind.TextBetweenElements =>
            (StreamCondition.BadFormat, "only white space may be between first-level elements"),
        StreamFaultKind.NoTag =>
            (StreamCondition.NotWellFormed, "a \"<\" must be followed by a name or by \"/\" and a name"),
        StreamFaultKind.LessInTag =>
            (StreamCondition.NotWellFormed, "a \"<\" is within a tag"),
        StreamFaultKind.LessInAttribute =>
            (StreamCondition.NotWellFormed, "a \"<\" is within an attribute's value"),
        StreamFaultKind.SlashInTag =>
            (StreamCondition.NotWellFormed, "a \"/\" in a start tag must be followed by \">\""),
        StreamFaultKind.MalformedEndTag =>
            (StreamCondition.NotWellFormed, "an end tag has a name and nothing else"),
        StreamFaultKind.NothingToEnd =>
            (StreamCondition.NotWellFormed, "an end tag has no open element"),
        StreamFaultKind.NoCharacterData =>
            (StreamCondition.NotWellFormed, "\"<![\" must begin a CDATA section"),
        StreamFaultKind.Comment =>
            (StreamCondition.RestrictedXml, "comments are not allowed"),
        StreamFaultKind.ProcessingInstruction =>
            (StreamCondition.RestrictedXml, "processing instructions are not allowed, and an XML declaration only before a stream header"),
        StreamFaultKind.DocumentType =>
            (StreamCondition.RestrictedXml, "document types and their declarations are not allowed"),
        StreamFaultKind.MalformedDeclaration =>
            (StreamCondition.NotWellFormed, "the XML declaration must be like <?xml version='1.0' encoding='UTF-8'?>"),
        StreamFaultKind.Encoding =>
            (StreamCondition.UnsupportedEncoding, "the encoding must be UTF-8"),
        StreamFaultKind.DeclarationWithoutHeader =>
            (StreamCondition.NotWellFormed, "an XML declaration must be followed by a stream header"),
        StreamFaultKind.NoStreamHeader =>
            (StreamCondition.BadFormat, "the first element must be a stream"),
        StreamFaultKind.TooDeep =>
            (StreamCondition.PolicyViolation, $"elements are nested deeper than {PieceLexer.MaxDepth}"),
        StreamFaultKind.TooLong =>
            (StreamCondition.PolicyViolation, "a stanza is longer than allowed"),
        StreamFaultKind.NoMemory =>
            (StreamCondition.ResourceConstraint, "the memory for incomplete stanzas is used up"),
        StreamFaultKind.WaitedTooLong =>
            (StreamCondition.ResourceConstraint, "its turn to log in did not come in time: others are many, or the server is slow"),
        StreamFaultKind.NotWhole =>
            (StreamCondition.NotWellFormed, "a WebSocket's message must be a whole element"),
        StreamFaultKind.SecondElement =>
            (StreamCondition.BadFormat, "a WebSocket's message must be one element"),
        StreamFaultKind.NotOpened =>
            (StreamCondition.BadFormat, "over a WebSocket a stream begins with <open/> and ends with <close/> (RFC 7395)"),
        StreamFaultKind.MalformedOpen =>
            (StreamCondition.BadFormat, "<open/> and <close/> must be empty elements, and <close/> must follow <open/>"),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a fault."),
    };
}
