namespace Megaphone.Protocol;

/// <summary>
/// What the packets of a session are declared to carry: <c>framing</c> in a hello (section 4 of the link protocol).
/// </summary>
internal enum LinkFraming
{
    /// <summary>Bytes as they were received, cut anywhere.</summary>
    Bytes,

    /// <summary>One complete piece of the client's XML stream in each packet.</summary>
    Stanza,
}
