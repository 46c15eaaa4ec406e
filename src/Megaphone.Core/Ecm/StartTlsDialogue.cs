using System.Text;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>
/// The server's side of the STARTTLS negotiation (RFC 6120, sections 5.3 and 5.4): accepts the pieces of a client's first stream,
/// one by one, and returns the answers. No I/O.
/// </summary>
/// <remarks>Used by one thread at a time.</remarks>
/// <param name="find">Finds a host that is served here: its normalized name, null for any other; gets what the client wrote.</param>
internal sealed class StartTlsDialogue(Func<string, string?> find)
{
    /// <summary>The longest piece that is accepted before TLS, in bytes.</summary>
    public const int MaxPieceBytes = 4096;

    private const string Features =
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";

    /// <summary>The host that the client named in its stream header, normalized; null before.</summary>
    public string? Host { get; private set; }

    /// <summary>Whether the client was told to proceed with its handshake: no more plain text is accepted.</summary>
    public bool HasProceeded { get; private set; }

    /// <summary>Whether the stream is over: the client has ended it, or it was refused.</summary>
    public bool IsOver { get; private set; }

    /// <summary>The error with which the stream was refused; null when it was not.</summary>
    public StreamCondition? Refusal { get; private set; }

    private static ReadOnlySpan<byte> Proceed => "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"u8;

    private static ReadOnlySpan<byte> Closing => "</stream:stream>"u8;

    /// <summary>Accepts a piece.</summary>
    /// <param name="piece">As <see cref="StreamSplitter"/> found it.</param>
    /// <param name="more">Whether the client has already sent more than white space after it.</param>
    /// <returns>The answer to send.</returns>
    public byte[] Accept(ReadOnlySpan<byte> piece, bool more)
    {
        if (Host is null) return AnswerHeader(piece);
        if (piece.StartsWith("</"u8))
        {
            // The client's closing tag may have another prefix than the header that was sent.
            IsOver = true;
            return Closing.ToArray();
        }

        // Plain text after it could be mistaken for the beginning of the secured stream (command injection).
        if (!IsStartTls(piece) || more) return Refuse(StreamCondition.PolicyViolation);
        HasProceeded = true;
        return Proceed.ToArray();
    }

    /// <summary>Refuses the stream.</summary>
    /// <returns>The answer to send.</returns>
    public byte[] Refuse(StreamCondition condition)
    {
        IsOver = true;
        Refusal = condition;
        byte[] error = StreamErrorText.ErrorAndEnd(condition);
        return Host is null ? [.. StreamErrorText.NewHeader(), .. error] : error;
    }

    private byte[] AnswerHeader(ReadOnlySpan<byte> piece)
    {
        // The splitter ensures that the first piece is a stream header, which may be an empty element.
        if (piece.EndsWith("/>"u8)) return Refuse(StreamCondition.PolicyViolation);
        string host = XmlTag.TryAttribute(piece, "to"u8, out ReadOnlySpan<byte> to) ? Encoding.UTF8.GetString(to) : "";
        Host = find(host);
        return Host is null ? Refuse(StreamCondition.HostUnknown) : [.. StreamErrorText.NewHeader(Host), .. Encoding.ASCII.GetBytes(Features)];
    }

    /// <summary>The element must be empty: either its only tag, or directly followed by its end tag.</summary>
    private static bool IsStartTls(ReadOnlySpan<byte> piece)
    {
        ReadOnlySpan<byte> behind = piece[(piece.IndexOf((byte)'>') + 1)..];
        return XmlTag.Name(piece).SequenceEqual("starttls"u8)
            && XmlTag.TryAttribute(piece, "xmlns"u8, out ReadOnlySpan<byte> space)
            && space.SequenceEqual("urn:ietf:params:xml:ns:xmpp-tls"u8)
            && (behind.IsEmpty || behind.SequenceEqual("</starttls>"u8));
    }
}
