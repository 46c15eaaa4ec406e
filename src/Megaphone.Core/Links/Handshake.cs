using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>How a link begins (section 4 of the link protocol): what its first packet means. Pure.</summary>
internal static class Handshake
{
    /// <summary>How much of what the other side says about itself goes into a log line.</summary>
    private const int LongestLogged = 200;

    /// <summary>The first packet of an accepted link: <c>hello</c>, or any session's packet on a plain link.</summary>
    /// <param name="id">The packet's id.</param>
    /// <param name="content">Its content.</param>
    /// <param name="options">What is wanted here.</param>
    /// <param name="refusal">What was found to be against the link before it said anything; null: nothing.</param>
    public static HandshakeResult OnFirstPacket(ulong id, ReadOnlySpan<byte> content, LinkOptions options, string? refusal = null)
    {
        if (id != PacketHeader.ControlId)
        {
            if (refusal is not null) return new HandshakeResult(HandshakeResult.Kind.End, refusal);
            if (options.Secret is null) return new HandshakeResult(HandshakeResult.Kind.Up);
            return new HandshakeResult(
                HandshakeResult.Kind.Violation,
                "it said no hello, and here a secret is wanted: set Ecm:Link:Control true and Ecm:Link:Secret there")
            {
                Unauthorized = true,
            };
        }

        if (!ControlReader.TryRead(content, out ControlMessage? hello, out string? problem)) return Violation(problem);
        if (hello.Op != ControlOp.Hello) return Violation($"{ControlNames.Of(hello.Op)} before hello");
        if (refusal is not null) return Refuse(refusal);
        if (hello.Version != ControlMessage.CurrentVersion)
            return Refuse($"version {hello.Version} is not spoken here, only {ControlMessage.CurrentVersion}");
        return SecretFits(hello.Secret, options.Secret)
            ? Up(hello)
            : Refuse("the secret is missing or wrong") with { WrongSecret = true };
    }

    /// <summary>The first packet after <c>hello</c> was said: <c>welcome</c> or <c>refuse</c>.</summary>
    public static HandshakeResult OnAnswer(ulong id, ReadOnlySpan<byte> content)
    {
        if (id != PacketHeader.ControlId) return Violation($"a packet on id {id} came before the answer to hello");
        if (!ControlReader.TryRead(content, out ControlMessage? answer, out string? problem)) return Violation(problem);
        if (answer.Op == ControlOp.Refuse) return new HandshakeResult(HandshakeResult.Kind.End, RefusedBecause(answer));
        if (answer.Op != ControlOp.Welcome) return Violation($"{ControlNames.Of(answer.Op)} came instead of an answer to hello");
        return answer.Version == ControlMessage.CurrentVersion
            ? Up(answer)
            : new HandshakeResult(
                HandshakeResult.Kind.End, $"the other side speaks version {answer.Version}, not {ControlMessage.CurrentVersion}");
    }

    /// <summary>What a <c>refuse</c> means, in words.</summary>
    public static string RefusedBecause(ControlMessage refusal) =>
        $"refused by the other side: {SanitizeForLog(refusal.Reason) ?? "no reason given"}";

    private static HandshakeResult Up(ControlMessage message) => new(HandshakeResult.Kind.Up)
    {
        Control = true,
        Name = SanitizeForLog(message.Name),
        MaxPacket = message.MaxPacket,
        KeepAlive = Bounded(message.KeepAlive),
        Ignored = message.Ignored,
    };

    private static HandshakeResult Violation(string reason) => new(HandshakeResult.Kind.Violation, reason);

    private static HandshakeResult Refuse(string reason) => new(HandshakeResult.Kind.Refuse, reason);

    /// <summary>Within bounds: the other side shall not have us ping without pause, nor never.</summary>
    private static TimeSpan? Bounded(TimeSpan? keepAlive) =>
        keepAlive is { } asked ? TimeSpan.FromSeconds(Math.Clamp(asked.TotalSeconds, 0.1, 3600)) : null;

    /// <summary>
    /// What the other side says may hold line breaks, terminal codes and marks that turn the direction of writing, which have no place in a log.
    /// </summary>
    [return: NotNullIfNotNull(nameof(said))]
    public static string? SanitizeForLog(string? said) =>
        said is null ? null : string.Concat(said.Take(LongestLogged).Select(c => IsPrintable(c) ? c : '?'));

    private static bool IsPrintable(char c) => char.GetUnicodeCategory(c) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned);

    private static bool SecretFits(string? said, string? wanted)
    {
        if (wanted is null) return true;

        // Digests have one length, so that neither the length nor the place of a difference can be timed.
        return CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes(wanted)), SHA256.HashData(Encoding.UTF8.GetBytes(said ?? "")));
    }
}
