using System.Text;

namespace Megaphone.Bench;

/// <summary>
/// The client's side of STARTTLS (RFC 6120, section 5.4): the answer to each piece of the server's first stream. Pure, no I/O.
/// </summary>
internal static class StartTlsClient
{
    /// <summary>The longest piece that a server may send.</summary>
    public const int MaxPieceBytes = 16 << 10;

    private static ReadOnlySpan<byte> Request => "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"u8;

    /// <summary>Handles a piece.</summary>
    /// <param name="step">What the client waits for; goes on when that has come.</param>
    /// <param name="piece">One piece of the server's stream.</param>
    /// <param name="reply">The answer; empty: none.</param>
    /// <returns>Null; or why there is no TLS.</returns>
    public static string? Handle(ref StartTlsStep step, ReadOnlySpan<byte> piece, out ReadOnlySpan<byte> reply)
    {
        reply = default;
        if (XmlPiece.IsClosingTag(piece)) return "the server closed a stream before TLS";
        if (XmlPiece.IsStreamError(piece)) return $"stream error before TLS: {XmlPiece.Condition(piece, "error"u8)}";
        ReadOnlySpan<byte> name = XmlPiece.Name(piece);
        switch (step)
        {
            case StartTlsStep.Header when name.SequenceEqual("stream"u8):
                step = StartTlsStep.Features;
                return null;

            case StartTlsStep.Features when name.SequenceEqual("features"u8):
                if (!XmlPiece.Has(piece, "starttls"u8)) return "the server does not offer STARTTLS";
                reply = Request;
                step = StartTlsStep.Proceed;
                return null;

            case StartTlsStep.Proceed when name.SequenceEqual("proceed"u8):
                step = StartTlsStep.Done;
                return null;

            case StartTlsStep.Proceed when name.SequenceEqual("failure"u8):
                return "the server refused STARTTLS";

            default:
                return $"<{Encoding.UTF8.GetString(name[..Math.Min(name.Length, 20)])}> came during STARTTLS";
        }
    }
}
