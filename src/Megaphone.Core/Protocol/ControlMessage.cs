using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Megaphone.Protocol;

/// <summary>
/// A control message, the content of a packet on connection id 0 (section 4 of the link protocol):
/// <c>{"op":"drain","after":5}</c>. Made by the method named after its op, or read by <see cref="ControlReader"/>; messages about one
/// session are written by <see cref="SessionControl"/>. Members that do not belong to the op, or were not sent, are null. Immutable.
/// </summary>
internal sealed record ControlMessage
{
    /// <summary>The longest content of a control packet, in bytes.</summary>
    public const int MaxBytes = 4096;

    /// <summary>The version of the link protocol that is supported.</summary>
    public const int CurrentVersion = 1;

    /// <summary>The op.</summary>
    public required ControlOp Op { get; init; }

    /// <summary>hello, welcome: the version of the protocol, 1 or more.</summary>
    public int? Version { get; init; }

    /// <summary>hello, welcome: the sender's name, for logs.</summary>
    public string? Name { get; init; }

    /// <summary>hello: the shared secret (section 6). <see cref="ToString"/> does not print it.</summary>
    public string? Secret { get; init; }

    /// <summary>hello: what packets carry; bytes if the hello does not say.</summary>
    public LinkFraming? Framing { get; init; }

    /// <summary>hello, welcome: the longest packet that the sender accepts, in bytes, 32 or more.</summary>
    public int? MaxPacket { get; init; }

    /// <summary>welcome: the keep-alive interval; above zero.</summary>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>
    /// ping, pong: any JSON value, as its original text, so that it can be sent back unchanged.
    /// </summary>
    public string? Token { get; init; }

    /// <summary>pause, resume, reset: the session's connection id, never 0.</summary>
    public ulong? Id { get; init; }

    /// <summary>hello, welcome: the offer of resumption, or the request for it; null: none.</summary>
    public ControlResume? Resume { get; init; }

    /// <summary>welcome: whether the sender says who has logged in (section 8).</summary>
    public bool? Logins { get; init; }

    /// <summary>welcome: whether the sender's packets are whole pieces (section 9).</summary>
    public bool? Pieces { get; init; }

    /// <summary>loggedIn: the connection ids of sessions that have logged in, none of them 0.</summary>
    public IReadOnlyList<ulong>? Ids { get; init; }

    /// <summary>ack: how many bytes of the other direction have been received.</summary>
    public long? Received { get; init; }

    /// <summary>refuse, reset, close: the reason, for logs.</summary>
    public string? Reason { get; init; }

    /// <summary>drain: how long until the link closes.</summary>
    public TimeSpan? After { get; init; }

    /// <summary>How many members of a received message were ignored because its op does not have them.</summary>
    public int Ignored { get; init; }

    /// <summary>Requests control.</summary>
    public static ControlMessage Hello(string name, string? secret, LinkFraming framing, int maxPacket, ControlResume? resume = null) => new()
    {
        Op = ControlOp.Hello,
        Version = CurrentVersion,
        Name = name,
        Secret = secret,
        Framing = framing,
        MaxPacket = maxPacket,
        Resume = resume,
    };

    /// <summary>Accepts a hello.</summary>
    public static ControlMessage Welcome(string name, int maxPacket, TimeSpan keepAlive, ControlResume? resume = null) => new()
    {
        Op = ControlOp.Welcome,
        Version = CurrentVersion,
        Name = name,
        MaxPacket = maxPacket,
        KeepAlive = keepAlive,
        Resume = resume,
    };

    /// <summary>Refuses the link, which must be closed after it.</summary>
    public static ControlMessage Refuse(string reason) => new() { Op = ControlOp.Refuse, Reason = reason };

    /// <summary>Requests a pong.</summary>
    public static ControlMessage Ping(long token) =>
        new() { Op = ControlOp.Ping, Token = token.ToString(CultureInfo.InvariantCulture) };

    /// <summary>Answers a ping with the token that it carried.</summary>
    public static ControlMessage Pong(ControlMessage ping) => new() { Op = ControlOp.Pong, Token = ping.Token };

    /// <summary>Asks the other end to open no new sessions on this link.</summary>
    /// <param name="after">How long until it closes; null: not before its sessions have ended.</param>
    public static ControlMessage Drain(TimeSpan? after = null) => new() { Op = ControlOp.Drain, After = after };

    /// <summary>Acknowledges the first bytes of the other direction.</summary>
    public static ControlMessage Ack(long received) => new() { Op = ControlOp.Ack, Received = received };

    /// <summary>Ends the link for good.</summary>
    public static ControlMessage Close(string reason) => new() { Op = ControlOp.Close, Reason = reason };

    /// <summary>Says that another server has died.</summary>
    /// <param name="name">What it calls itself in its <c>welcome</c>.</param>
    public static ControlMessage Gone(string name) => new() { Op = ControlOp.Gone, Name = name };

    /// <summary>
    /// The message as the content of a packet: UTF-8, at most <see cref="MaxBytes"/>. A reason that is too long for
    /// that is cut between two characters.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is too long even without its reason: the name or secret has kilobytes.
    /// </exception>
    public byte[] ToUtf8()
    {
        // No character of JSON text takes less than a byte, so a longer reason cannot fit.
        string? reason = Reason is { Length: > MaxBytes } ? CutTo(Reason, MaxBytes) : Reason;
        while (true)
        {
            ArrayBufferWriter<byte> buffer = new(256);
            Write(buffer, reason);
            int excess = buffer.WrittenCount - MaxBytes;
            if (excess <= 0) return buffer.WrittenSpan.ToArray();
            if (string.IsNullOrEmpty(reason))
            {
                throw new InvalidOperationException(
                    $"A control message of {buffer.WrittenCount} bytes is above the limit of {MaxBytes}.");
            }

            // One UTF-16 unit takes at most six bytes (\uXXXX), so this never cuts a character more than it must.
            reason = CutTo(reason, Math.Max(0, reason.Length - (excess + 5) / 6));
        }
    }

    /// <summary>The whole packet: the header, and <see cref="ToUtf8"/> as its content.</summary>
    /// <exception cref="InvalidOperationException">As <see cref="ToUtf8"/>.</exception>
    public byte[] ToPacket()
    {
        byte[] content = ToUtf8();
        byte[] packet = new byte[PacketHeader.Size + content.Length];
        PacketHeader.Write(packet, packet.Length, PacketHeader.ControlId);
        content.CopyTo(packet, PacketHeader.Size);
        return packet;
    }

    /// <summary>The message as it is sent, for logs; secrets are printed as <c>***</c>.</summary>
    public override string ToString()
    {
        ControlMessage printable = this with
        {
            Secret = Secret is null ? null : "***",
            Resume = Resume?.Token is null ? Resume : Resume with { Token = "***" },
        };
        ArrayBufferWriter<byte> buffer = new(256);
        printable.Write(buffer, Reason);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>
    /// The first <paramref name="length"/> UTF-16 units of a text, or one less if that would split a character.
    /// </summary>
    private static string CutTo(string text, int length) =>
        text[..(length > 0 && char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];

    private static void WriteSeconds(Utf8JsonWriter json, string member, TimeSpan value)
    {
        // Whole seconds are written as an integer, because some readers accept nothing else.
        if (value.Ticks % TimeSpan.TicksPerSecond == 0) json.WriteNumber(member, value.Ticks / TimeSpan.TicksPerSecond);
        else json.WriteNumber(member, value.TotalSeconds);
    }

    private static void WriteResume(Utf8JsonWriter json, ControlResume resume)
    {
        json.WriteStartObject("resume");
        if (resume.Instance is not null) json.WriteString("instance", resume.Instance);
        if (resume.Slot is { } slot) json.WriteNumber("slot", slot);
        if (resume.Token is not null) json.WriteString("token", resume.Token);
        if (resume.Received is { } received) WritePosition(json, received);
        if (resume.Timeout is { } timeout) WriteSeconds(json, "timeout", timeout);
        if (resume.Window is { } window) json.WriteNumber("window", window);
        json.WriteEndObject();
    }

    private static void WriteIds(Utf8JsonWriter json, IReadOnlyList<ulong> ids)
    {
        json.WriteStartArray("ids");
        foreach (ulong id in ids) json.WriteStringValue(id.ToString(CultureInfo.InvariantCulture));
        json.WriteEndArray();
    }

    private static void WritePosition(Utf8JsonWriter json, long received) =>
        json.WriteString("received", received.ToString(CultureInfo.InvariantCulture));

    /// <summary>Writes the members in the order of the protocol's table; each op has set only its own.</summary>
    private void Write(ArrayBufferWriter<byte> buffer, string? reason)
    {
        using Utf8JsonWriter json = new(buffer);
        json.WriteStartObject();
        json.WriteString("op", ControlNames.Of(Op));
        if (Version is { } version) json.WriteNumber("version", version);
        if (Name is not null) json.WriteString("name", Name);
        if (Secret is not null) json.WriteString("secret", Secret);
        if (Framing is { } framing) json.WriteString("framing", ControlNames.Of(framing));
        if (MaxPacket is { } maxPacket) json.WriteNumber("maxPacket", maxPacket);
        if (KeepAlive is { } keepAlive) WriteSeconds(json, "keepAlive", keepAlive);
        if (Logins is { } logins) json.WriteBoolean("logins", logins);
        if (Pieces is { } pieces) json.WriteBoolean("pieces", pieces);
        if (Resume is not null) WriteResume(json, Resume);
        if (Received is { } received) WritePosition(json, received);
        if (Token is not null)
        {
            json.WritePropertyName("token");
            json.WriteRawValue(Token, skipInputValidation: true);
        }

        if (Id is { } id) json.WriteString("id", id.ToString(CultureInfo.InvariantCulture));
        if (Ids is not null) WriteIds(json, Ids);
        if (reason is not null) json.WriteString("reason", reason);
        if (After is { } after) WriteSeconds(json, "after", after);
        json.WriteEndObject();
    }
}
