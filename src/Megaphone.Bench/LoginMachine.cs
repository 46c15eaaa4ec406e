using System.Buffers.Text;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Bench;

/// <summary>
/// A client's side of a login: the answer to each piece of the server's stream (RFC 6120, sections 4.3, 6
/// and 7; RFC 6121, sections 2.2 and 4.2; XEP-0198). Pure, no I/O; thread-safe, if each session is used by one thread at a time.
/// </summary>
/// <remarks>
/// <code>
/// client  header          auth           [response]        header                 iq bind      [enable]       [iq roster]      presence
/// server        header            [challenge]      success       header, features        result       [enabled]          [result]
///               features
/// </code>
/// </remarks>
internal sealed class LoginMachine
{
    /// <summary>The longest answer, in bytes, with names and passwords of at most <see cref="MaxCredential"/> characters.</summary>
    public const int MaxReply = 1536;

    /// <summary>The most characters of a name and of a password.</summary>
    public const int MaxCredential = 128;

    /// <summary>The end of a stream, in either direction.</summary>
    public static ReadOnlySpan<byte> ClosingTag => "</stream:stream>"u8;

    private readonly LoginOptions _options;
    private readonly byte[] _header;
    private readonly string _mechanism;
    private readonly byte[] _offer;
    private readonly byte[] _auth;
    private readonly ScramKeys? _keys;

    /// <summary>Makes the machine for all clients of a run.</summary>
    public LoginMachine(LoginOptions options)
    {
        _options = options;
        _header = HeaderTo(options.Domain);
        _mechanism = options.Method switch
        {
            LoginMethod.None => "",
            LoginMethod.Anonymous => "ANONYMOUS",
            LoginMethod.Plain => "PLAIN",
            LoginMethod.ScramSha1 => "SCRAM-SHA-1",
            LoginMethod.ScramSha256 => "SCRAM-SHA-256",
            _ => throw new ArgumentOutOfRangeException(nameof(options), options.Method, "This is no method."),
        };
        _offer = Encoding.ASCII.GetBytes($">{_mechanism}<");
        _auth = Encoding.ASCII.GetBytes($"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{_mechanism}'>");
        _keys = options.Method switch
        {
            LoginMethod.ScramSha1 => new ScramKeys(HashAlgorithmName.SHA1),
            LoginMethod.ScramSha256 => new ScramKeys(HashAlgorithmName.SHA256),
            _ => null,
        };
    }

    /// <summary>Whether clients enable stream management.</summary>
    public bool ManagesStream => _options.ManagesStream;

    /// <summary>
    /// The stream header, which a client sends twice. Without an XML declaration, which is optional and is not carried in stanzas.
    /// </summary>
    public ReadOnlySpan<byte> Header => _header;

    /// <summary>A client's stream header.</summary>
    public static byte[] HeaderTo(string domain) => Encoding.UTF8.GetBytes(
        $"<stream:stream to='{domain}' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");

    /// <summary>Handles a piece of the server's stream while the client logs in.</summary>
    /// <param name="session">Waits in a phase before <see cref="SessionPhase.Online"/>.</param>
    /// <param name="number">The client's number, for its name and password.</param>
    /// <param name="exchange">The client's SCRAM exchange, while there is one.</param>
    /// <param name="piece">One piece of the server's stream; neither its closing tag nor a stream error.</param>
    /// <param name="reply">At least <see cref="MaxReply"/> bytes.</param>
    /// <param name="length">The bytes of the answer; 0: none.</param>
    /// <returns>Null; or why the login has failed, in words without anything of this client alone.</returns>
    public string? Handle(
        ref BenchSession session, int number, ref ScramExchange? exchange, ReadOnlySpan<byte> piece, Span<byte> reply, out int length)
    {
        length = 0;
        ReadOnlySpan<byte> name = XmlPiece.Name(piece);
        switch (session.Phase)
        {
            case SessionPhase.Header when name.SequenceEqual("stream"u8):
                session.Phase = _options.Method == LoginMethod.None ? SessionPhase.Online : SessionPhase.Mechanisms;
                return null;

            case SessionPhase.Mechanisms when name.SequenceEqual("features"u8):
                return Authenticate(ref session, number, out exchange, piece, reply, out length);

            case SessionPhase.Challenge when name.SequenceEqual("challenge"u8):
                return Respond(ref session, exchange!, piece, reply, out length);

            case SessionPhase.Success when name.SequenceEqual("success"u8):
                if (exchange is not null && !(TryDecode(piece, "success"u8, out string? proof) && exchange.IsProof(proof)))
                    return "the server did not prove that it knows the password";
                exchange = null;
                session.Phase = SessionPhase.SecondHeader;
                length = Write(reply, _header);
                return null;

            case SessionPhase.SecondHeader when name.SequenceEqual("stream"u8):
                session.Phase = SessionPhase.SecondFeatures;
                return null;

            case SessionPhase.SecondFeatures when name.SequenceEqual("features"u8):
                if (!XmlPiece.Has(piece, "bind"u8)) return "the server offers no resource binding";
                session.Phase = SessionPhase.Binding;
                length = Write(
                    reply, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq>"u8);
                return null;

            case SessionPhase.Binding when name.SequenceEqual("iq"u8):
                return Bind(ref session, piece, reply, out length);

            case SessionPhase.Enabling when name.SequenceEqual("enabled"u8):
                length = AskForRoster(ref session, reply);
                return null;

            case SessionPhase.Enabling when name.SequenceEqual("failed"u8):
                return $"stream management refused: {XmlPiece.Condition(piece, "failed"u8)}";

            case SessionPhase.Roster when name.SequenceEqual("iq"u8):
                if (!IsResult(piece)) return $"no roster: {XmlPiece.Condition(piece, "error"u8)}";
                length = SendPresence(ref session, reply);
                return null;

            case SessionPhase.Challenge or SessionPhase.Success when name.SequenceEqual("failure"u8):
                return $"login refused: {XmlPiece.Condition(piece, "failure"u8)}";

            default:
                string came = Encoding.UTF8.GetString(name[..Math.Min(name.Length, 20)]);
                return $"<{came}> came while a client waited for {Wanted(session.Phase)}";
        }
    }

    /// <summary>What the client waits for in a phase.</summary>
    public static string Wanted(SessionPhase phase) => phase switch
    {
        SessionPhase.Header => "the stream header",
        SessionPhase.Mechanisms => "the mechanisms",
        SessionPhase.Challenge => "the challenge",
        SessionPhase.Success => "the end of SASL",
        SessionPhase.SecondHeader => "the second stream header",
        SessionPhase.SecondFeatures => "the second features",
        SessionPhase.Binding => "its address",
        SessionPhase.Enabling => "stream management",
        SessionPhase.Roster => "its roster",
        _ => throw new UnreachableException(),
    };

    private string? Authenticate(
        ref BenchSession session, int number, out ScramExchange? exchange, ReadOnlySpan<byte> features, Span<byte> reply, out int length)
    {
        exchange = null;
        length = 0;
        if (!XmlPiece.Has(features, "mechanism"u8))
            return "the server offers no SASL, perhaps because it wants STARTTLS first: see --tls of bench xmpp";
        if (features.IndexOf(_offer) < 0) return $"the server does not offer {_mechanism}";

        string? initial = null;
        session.Phase = SessionPhase.Success;
        if (_options.Method == LoginMethod.Plain)
        {
            initial = $"\0{_options.UserOf(number)}\0{_options.PasswordOf(number)}";
        }
        else if (_keys is not null)
        {
            exchange = new ScramExchange(_options.UserOf(number), _options.PasswordOf(number), ScramExchange.NewNonce(), _keys);
            initial = exchange.First;
            session.Phase = SessionPhase.Challenge;
        }

        length = Write(reply, _auth);
        if (initial is not null) length += Write(reply[length..], Encode(initial));
        length += Write(reply[length..], "</auth>"u8);
        return null;
    }

    private static string? Respond(
        ref BenchSession session, ScramExchange exchange, ReadOnlySpan<byte> piece, Span<byte> reply, out int length)
    {
        length = 0;
        if (!TryDecode(piece, "challenge"u8, out string? challenge)) return "a SCRAM challenge that is not in base 64";
        if (!exchange.TryAnswer(challenge, out string? final, out string? problem)) return problem;
        session.Phase = SessionPhase.Success;
        length = Write(reply, $"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{Encode(final)}</response>");
        return null;
    }

    private string? Bind(ref BenchSession session, ReadOnlySpan<byte> piece, Span<byte> reply, out int length)
    {
        length = 0;
        if (!IsResult(piece))
            return $"binding refused: {XmlPiece.Condition(piece, "error"u8)}";
        if (!XmlPiece.TryText(piece, "jid"u8, out ReadOnlySpan<byte> jid) || jid.IndexOf((byte)'@') is not (> 0 and var at))
            return "the server bound a client to no address";
        if (!session.TrySetLocal(jid[..at]))
            return $"the server gave an address whose local part is longer than {BenchSession.MaxLocalBytes} bytes";
        if (!_options.ManagesStream)
        {
            length = AskForRoster(ref session, reply);
            return null;
        }

        session.Phase = SessionPhase.Enabling;
        length = Write(reply, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"u8);
        return null;
    }

    /// <returns>The bytes of the answer.</returns>
    private int AskForRoster(ref BenchSession session, Span<byte> reply)
    {
        if (!_options.AsksForRoster) return SendPresence(ref session, reply);
        session.Phase = SessionPhase.Roster;
        return Write(reply, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"u8);
    }

    /// <returns>The bytes of the answer.</returns>
    private static int SendPresence(ref BenchSession session, Span<byte> reply)
    {
        session.Phase = SessionPhase.Online;
        return Write(reply, "<presence/>"u8);
    }

    private static bool IsResult(ReadOnlySpan<byte> iq) =>
        XmlPiece.TryAttribute(iq, "type"u8, out ReadOnlySpan<byte> type) && type.SequenceEqual("result"u8);

    /// <summary>Encodes a text for an element of SASL: base 64.</summary>
    private static string Encode(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static bool TryDecode(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> element, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (!XmlPiece.TryText(piece, element, out ReadOnlySpan<byte> encoded)) return false;
        byte[] bytes = new byte[Base64.GetMaxDecodedFromUtf8Length(encoded.Length)];
        if (Base64.DecodeFromUtf8(encoded, bytes, out _, out int written) != System.Buffers.OperationStatus.Done) return false;
        text = Encoding.UTF8.GetString(bytes, 0, written);
        return true;
    }

    private static int Write(Span<byte> reply, ReadOnlySpan<byte> text)
    {
        text.CopyTo(reply);
        return text.Length;
    }

    private static int Write(Span<byte> reply, string text) => Encoding.UTF8.GetBytes(text, reply);
}
