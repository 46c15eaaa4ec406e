namespace Megaphone.Protocol;

/// <summary>
/// What the packets of a session are promised to carry: <c>framing</c> in a hello (section 4 of the link protocol).
/// </summary>
internal enum LinkFraming
{
    /// <summary>Bytes as they came; nothing is promised.</summary>
    Bytes,

    /// <summary>One complete piece of the client's XML stream in each packet.</summary>
    Stanza,
}
