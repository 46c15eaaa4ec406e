using System.Security.Cryptography;
using System.Text;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>
/// The server's part before STARTTLS (RFC 6120, sections 5.3 and 5.4): takes the pieces of a client's first stream, one by one,
/// and says what is to be answered. No I/O.
/// </summary>
/// <remarks>Used by one thread at a time.</remarks>
/// <param name="find">The normalized name of a host that is served here, null for any other; gets what the client wrote.</param>
internal sealed class StartTlsDialogue(Func<string, string?> find)
{
    /// <summary>The longest piece that makes sense here.</summary>
    public const int MaxPieceBytes = 4096;

    private const string Features =
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";

    /// <summary>The host that the client named in its stream header, normalized; null before.</summary>
    public string? Host { get; private set; }

    /// <summary>The client may begin its handshake: nothing in the clear counts any more.</summary>
    public bool Proceeds { get; private set; }

    /// <summary>Nothing more is taken from the client: it has ended its stream, or it is refused.</summary>
    public bool IsOver { get; private set; }

    /// <summary>With which error the stream is refused; null when it is not.</summary>
    public StreamCondition? Refusal { get; private set; }

    /// <summary>What is said to a client when it proceeds.</summary>
    private static ReadOnlySpan<byte> Proceed => "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"u8;

    /// <summary>Takes a piece.</summary>
    /// <param name="piece">As <see cref="StreamSplitter"/> found it.</param>
    /// <param name="more">Whether the client has sent something behind it already, other than white space.</param>
    /// <returns>What is to be sent.</returns>
    public byte[] Take(ReadOnlySpan<byte> piece, bool more)
    {
        if (Host is null) return Greet(piece);
        if (piece.StartsWith("</"u8))
        {
            IsOver = true;
            return piece.ToArray();
        }

        // What stands behind it in the clear would be taken for the first words of the secured stream by who is not careful.
        if (!IsStartTls(piece) || more) return Refuse(StreamCondition.PolicyViolation);
        Proceeds = true;
        return Proceed.ToArray();
    }

    /// <summary>Refuses the stream.</summary>
    /// <returns>What is to be sent.</returns>
    public byte[] Refuse(StreamCondition condition)
    {
        IsOver = true;
        Refusal = condition;
        byte[] error = StreamErrorText.ErrorAndEnd(condition);
        return Host is null ? [.. StreamErrorText.Header(NewId()), .. error] : error;
    }

    private byte[] Greet(ReadOnlySpan<byte> piece)
    {
        // The lexer has made sure that the first piece is a stream header, which may have ended itself.
        if (piece.EndsWith("/>"u8)) return Refuse(StreamCondition.PolicyViolation);
        string host = XmlTag.TryAttribute(piece, "to"u8, out ReadOnlySpan<byte> to) ? Encoding.UTF8.GetString(to) : "";
        Host = find(host);
        return Host is null ? Refuse(StreamCondition.HostUnknown) : [.. StreamErrorText.Header(NewId(), Host), .. Encoding.ASCII.GetBytes(Features)];
    }

    /// <summary>The element has nothing in it, so its first tag is all of it, or only its end follows.</summary>
    private static bool IsStartTls(ReadOnlySpan<byte> piece)
    {
        ReadOnlySpan<byte> behind = piece[(piece.IndexOf((byte)'>') + 1)..];
        return XmlTag.Name(piece).SequenceEqual("starttls"u8)
            && XmlTag.TryAttribute(piece, "xmlns"u8, out ReadOnlySpan<byte> space)
            && space.SequenceEqual("urn:ietf:params:xml:ns:xmpp-tls"u8)
            && (behind.IsEmpty || behind.SequenceEqual("</starttls>"u8));
    }

    private static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
}
