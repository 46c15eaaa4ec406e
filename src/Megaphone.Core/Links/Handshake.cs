using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>The opening of a link (section 4 of the link protocol): decides what its first packet leads to. No I/O.</summary>
internal static class Handshake
{
    /// <summary>The most characters of a text from the other side that are logged.</summary>
    private const int MaxLoggedLength = 200;

    /// <summary>The first packet of an accepted link: <c>hello</c>, or any session's packet on a plain link.</summary>
    /// <param name="id">The packet's id.</param>
    /// <param name="content">Its content.</param>
    /// <param name="options">The settings of this end.</param>
    /// <param name="refusal">Why the link is refused whatever its first packet is; null: it is not.</param>
    public static HandshakeResult OnFirstPacket(ulong id, ReadOnlySpan<byte> content, LinkOptions options, string? refusal = null)
    {
        if (id != PacketHeader.ControlId)
        {
            if (refusal is not null) return new HandshakeResult(HandshakeResult.Kind.End, refusal);
            if (options.Secret is null) return new HandshakeResult(HandshakeResult.Kind.Up);
            return new HandshakeResult(
                HandshakeResult.Kind.Violation,
                "it sent no hello, and a secret is required here: set Ecm:Link:Control to true and Ecm:Link:Secret at the other end")
            {
                Unauthorized = true,
            };
        }

        if (!ControlReader.TryRead(content, out ControlMessage? hello, out string? problem)) return Violation(problem);
        if (hello.Op != ControlOp.Hello) return Violation($"{ControlNames.Of(hello.Op)} before hello");
        if (refusal is not null) return Refuse(refusal);
        if (hello.Version != ControlMessage.CurrentVersion)
            return Refuse($"version {hello.Version} is not supported, only {ControlMessage.CurrentVersion}");
        return SecretMatches(hello.Secret, options.Secret)
            ? Up(hello)
            : Refuse("the secret is missing or wrong") with { WrongSecret = true };
    }

    /// <summary>The first packet after <c>hello</c> was sent: <c>welcome</c> or <c>refuse</c>.</summary>
    public static HandshakeResult OnAnswer(ulong id, ReadOnlySpan<byte> content)
    {
        if (id != PacketHeader.ControlId) return Violation($"a packet on id {id} came before the answer to hello");
        if (!ControlReader.TryRead(content, out ControlMessage? answer, out string? problem)) return Violation(problem);
        if (answer.Op == ControlOp.Refuse) return new HandshakeResult(HandshakeResult.Kind.End, DescribeRefusal(answer));
        if (answer.Op != ControlOp.Welcome) return Violation($"{ControlNames.Of(answer.Op)} came instead of an answer to hello");
        return answer.Version == ControlMessage.CurrentVersion
            ? Up(answer)
            : new HandshakeResult(
                HandshakeResult.Kind.End, $"the other side uses version {answer.Version}, not {ControlMessage.CurrentVersion}");
    }

    /// <summary>The reason of a <c>refuse</c>, for the log.</summary>
    public static string DescribeRefusal(ControlMessage refusal) =>
        $"refused by the other side: {SanitizeForLog(refusal.Reason) ?? "no reason given"}";

    private static HandshakeResult Up(ControlMessage message) => new(HandshakeResult.Kind.Up)
    {
        Control = true,
        Name = SanitizeForLog(message.Name),
        MaxPacket = message.MaxPacket,
        KeepAlive = ClampKeepAlive(message.KeepAlive),
        TellsLogins = message.Logins is true,
        SendsPieces = message.Pieces is true,
        Resume = message.Resume,
        Ignored = message.Ignored,
    };

    private static HandshakeResult Violation(string reason) => new(HandshakeResult.Kind.Violation, reason);

    private static HandshakeResult Refuse(string reason) => new(HandshakeResult.Kind.Refuse, reason);

    /// <summary>Clamped: the other side must not be able to ask for pings without pause, or for none.</summary>
    private static TimeSpan? ClampKeepAlive(TimeSpan? keepAlive) =>
        keepAlive is { } asked ? TimeSpan.FromSeconds(Math.Clamp(asked.TotalSeconds, 0.1, 3600)) : null;

    /// <summary>
    /// Replaces what must not be in a log line: line breaks, terminal codes and marks that change the direction of writing.
    /// </summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static string? SanitizeForLog(string? text) =>
        text is null ? null : string.Concat(text.Take(MaxLoggedLength).Select(c => IsPrintable(c) ? c : '?'));

    private static bool IsPrintable(char c) => char.GetUnicodeCategory(c) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned);

    private static bool SecretMatches(string? given, string? required)
    {
        if (required is null) return true;

        // Digests have one length, so that timing reveals neither the secret's length nor where a guess differs.
        return CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes(required)), SHA256.HashData(Encoding.UTF8.GetBytes(given ?? "")));
    }
}
