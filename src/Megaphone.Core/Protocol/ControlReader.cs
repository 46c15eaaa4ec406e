using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Unicode;

namespace Megaphone.Protocol;

/// <summary>Reads the content of control packets (section 4 of the link protocol). Stateless and thread-safe.</summary>
/// <remarks>
/// Only indispensable members are required: <c>version</c> in hello and welcome, <c>id</c> in pause, resume and
/// reset, <c>received</c> in ack, <c>ids</c> in loggedIn. Every other member may be absent or null, but must be valid if it is present. Of two
/// members with one name the last counts.
/// </remarks>
internal static class ControlReader
{
    /// <summary>Reads a control message.</summary>
    /// <param name="content">The whole content of a packet on id 0.</param>
    /// <param name="message">The message; one with <see cref="ControlOp.Unknown"/> must be ignored and counted.</param>
    /// <param name="problem">
    /// Otherwise the reason, as one line for a log or a <c>refuse</c>. It contains nothing that was received.
    /// </param>
    /// <returns>False when the content is a protocol error.</returns>
    public static bool TryRead(
        ReadOnlySpan<byte> content,
        [NotNullWhen(true)] out ControlMessage? message,
        [NotNullWhen(false)] out string? problem)
    {
        message = null;
        if (!TryReadObject(content, out Dictionary<string, JsonElement>? json, out problem)) return false;

        ControlMembers members = new(json);
        ControlMessage read = ReadOp(members);
        problem = members.Problem;
        if (problem is not null) return false;

        message = read with { Ignored = members.UnreadCount + (read.Resume?.Ignored ?? 0) };
        return true;
    }

    private static bool TryReadObject(
        ReadOnlySpan<byte> content,
        [NotNullWhen(true)] out Dictionary<string, JsonElement>? json,
        [NotNullWhen(false)] out string? problem)
    {
        json = null;
        problem = null;
        if (content.Length > ControlMessage.MaxBytes)
            problem = $"a control packet has at most {ControlMessage.MaxBytes} bytes of content, not {content.Length}";
        else if (!Utf8.IsValid(content))
            problem = "a control packet's content must be UTF-8";
        if (problem is not null) return false;

        try
        {
            json = JsonSerializer.Deserialize(content, ControlJson.Default.DictionaryStringJsonElement);
            if (json is null) problem = "a control packet's content must be one JSON object";
        }
        catch (JsonException broken)
        {
            problem = "a control packet's content must be one JSON object"
                + $", broken at line {broken.LineNumber + 1}, byte {broken.BytePositionInLine + 1}";
        }

        return json is not null;
    }

    private static ControlMessage ReadOp(ControlMembers members)
    {
        ControlOp op = members.Op();
        return op switch
        {
            ControlOp.Hello => new()
            {
                Op = op,
                Version = members.Integer("version", 1, required: true),
                Name = members.Text("name"),
                Secret = members.Text("secret"),
                Framing = members.Framing("framing") ?? LinkFraming.Bytes,
                MaxPacket = members.Integer("maxPacket", PacketHeader.Size),
                Resume = members.Resume("resume"),
            },
            ControlOp.Welcome => new()
            {
                Op = op,
                Version = members.Integer("version", 1, required: true),
                Name = members.Text("name"),
                MaxPacket = members.Integer("maxPacket", PacketHeader.Size),
                KeepAlive = members.Seconds("keepAlive", zeroAllowed: false),
                Logins = members.Flag("logins"),
                Pieces = members.Flag("pieces"),
                Resume = members.Resume("resume"),
            },
            ControlOp.Refuse => new() { Op = op, Reason = members.Text("reason") },
            ControlOp.Ping or ControlOp.Pong => new() { Op = op, Token = members.Raw("token") },
            ControlOp.Pause or ControlOp.Resume => new() { Op = op, Id = members.Id("id") },
            ControlOp.Reset => new() { Op = op, Id = members.Id("id"), Reason = members.Text("reason") },
            ControlOp.Drain => new() { Op = op, After = members.Seconds("after", zeroAllowed: true) },
            ControlOp.Ack => new() { Op = op, Received = members.Position("received", required: true) },
            ControlOp.Gone => new() { Op = op, Name = members.Text("name") },
            ControlOp.LoggedIn => new() { Op = op, Ids = members.Ids("ids") },
            ControlOp.Close => new() { Op = op, Reason = members.Text("reason") },
            _ => new() { Op = ControlOp.Unknown },
        };
    }
}
