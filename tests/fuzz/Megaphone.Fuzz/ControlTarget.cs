using System.Text;
using System.Text.Json;
using Megaphone.Protocol;

namespace Megaphone.Fuzz;

/// <summary>
/// Control messages (section 4 of the link protocol): any content is a message within its bounds or a problem in one line; only what is a
/// JSON object is a message; what is read and written reads the same again; every ping can be answered; no text shows a secret.
/// </summary>
internal static class ControlTarget
{
    public static void Run(byte[] input)
    {
        bool isMessage = ControlReader.TryRead(input, out ControlMessage? message, out string? problem);
        Property.Holds(isMessage == (message is not null) && isMessage == (problem is null), "content is a message or has a problem");
        if (message is null)
        {
            Property.IsOneLine(problem!);
            return;
        }

        Property.Holds(input.Length <= ControlMessage.MaxBytes, "no message is longer than allowed");
        CheckJson(input, message);
        CheckBounds(message);
        CheckSecret(message);
        if (message.Op == ControlOp.Unknown) return;
        if (message.Op == ControlOp.Ping) CheckPong(message);
        CheckWritten(message);
    }

    private static void CheckJson(byte[] input, ControlMessage message)
    {
        // This throws for what is no JSON, and so does the getter of a string for half a character.
        using JsonDocument json = JsonDocument.Parse(input);
        string? op = json.RootElement.GetProperty("op").GetString();
        Property.Holds(message.Op == ControlOp.Unknown || ControlNames.Of(message.Op) == op, "a message has the op that its JSON has");
    }

    private static void CheckBounds(ControlMessage message)
    {
        bool isOpening = message.Op is ControlOp.Hello or ControlOp.Welcome;
        bool isAboutSession = message.Op is ControlOp.Pause or ControlOp.Resume or ControlOp.Reset;
        Property.Holds(isOpening == (message.Version is not null), "a hello and a welcome have a version, and nothing else has");
        Property.Holds(isAboutSession == (message.Id is not null), "messages about a session have an id, and nothing else has");
        Property.Holds(message.Version is null or >= 1, "a version is 1 or more");
        Property.Holds(message.Id is not 0, "id 0 is no session's");
        Property.Holds(message.MaxPacket is null or >= PacketHeader.Size, "a packet has room for its header");
        Property.Holds(message.KeepAlive is null || message.KeepAlive > TimeSpan.Zero, "a keepalive is above zero");
        Property.Holds(message.After is null || message.After >= TimeSpan.Zero, "a drain does not end before it begins");
        Property.Holds((message.Op == ControlOp.Hello) == (message.Framing is not null), "a hello has a framing, and nothing else has");
    }

    private static void CheckSecret(ControlMessage message) => Property.Holds(
        message.Secret is null || message.ToString() == (message with { Secret = message.Secret + "x" }).ToString(),
        "a message shown does not depend on its secret");

    private static void CheckPong(ControlMessage ping)
    {
        byte[] pong = ControlMessage.Pong(ping).ToUtf8();
        Property.Holds(ControlReader.TryRead(pong, out ControlMessage? read, out _), "the answer to a ping is a message");
        Property.Holds(read.Op == ControlOp.Pong && read.Token == ping.Token, "the answer to a ping has its token");
    }

    private static void CheckWritten(ControlMessage message)
    {
        byte[] written;
        try
        {
            written = message.ToUtf8();
        }
        catch (InvalidOperationException)
        {
            // Written with escapes, a name or a secret may be longer than it was.
            int free = (message.Name?.Length ?? 0) + (message.Secret?.Length ?? 0);
            Property.Holds(free > ControlMessage.MaxBytes / 12, "a message of usual length can be written");
            return;
        }

        Property.Holds(written.Length <= ControlMessage.MaxBytes, "no message is written longer than allowed");
        string text = Encoding.UTF8.GetString(written);
        Property.Holds(ControlReader.TryRead(written, out ControlMessage? again, out _), $"what is written is a message: {text}");

        // A reason is cut where it does not fit; durations are written in seconds, and so may lose less than a microsecond.
        bool isCut = message.Reason is null || message.Reason.StartsWith(again.Reason!, StringComparison.Ordinal);
        Property.Holds(isCut, "a reason is only ever cut");
        bool areClose = AreClose(message.KeepAlive, again.KeepAlive) && AreClose(message.After, again.After);
        Property.Holds(areClose, $"durations read the same again: {text}");
        bool areIds = (message.Ids ?? []).SequenceEqual(again.Ids ?? []);
        Property.Holds(areIds, $"ids read the same again: {text}");
        ControlMessage expected = message with
        {
            Ignored = 0,
            Reason = again.Reason,
            KeepAlive = again.KeepAlive,
            After = again.After,
            Ids = again.Ids,
        };
        Property.Holds(again == expected, $"a message reads the same again: {text}");
    }

    private static bool AreClose(TimeSpan? one, TimeSpan? other) =>
        one.HasValue == other.HasValue && (one - other ?? TimeSpan.Zero).Duration() < TimeSpan.FromMicroseconds(1);
}
