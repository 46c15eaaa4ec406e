using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Handles the control packets that one connection of a link receives once the link is up (sections 4 and 7 of the link protocol).</summary>
/// <remarks><see cref="Handle"/> is called by one thread at a time, <see cref="Heed"/> by the receiver.</remarks>
internal sealed class LinkControl(LinkConnection connection, Link link, RoleMetrics metrics, LinkConnectionLog log)
{
    /// <summary>Whether a control packet is about nothing but the link itself, so that an acknowledgement of it alone is not needed.</summary>
    public static bool IsOfLink(ControlOp op) => op is ControlOp.Ack or ControlOp.Ping or ControlOp.Pong;

    /// <summary>Handles a packet in its turn.</summary>
    /// <param name="content">The packet's content.</param>
    /// <param name="wasHeeded">Whether <see cref="Heed"/> had it already.</param>
    /// <param name="op">What it was.</param>
    /// <returns>False when the connection is to be closed.</returns>
    public bool Handle(ReadOnlySpan<byte> content, bool wasHeeded, out ControlOp op)
    {
        op = ControlOp.Unknown;
        if (!link.HasControl) return Violated("a control packet was received on a link without hello");
        if (!ControlReader.TryRead(content, out ControlMessage? message, out string? problem)) return Violated(problem);
        op = message.Op;
        if (IsOfLink(op) && wasHeeded) return true;
        if (message.Ignored > 0) metrics.AddControlIgnored(message.Ignored);
        switch (op)
        {
            case ControlOp.Ack when link.Terms is not null:
                return Acknowledge(message);
            case ControlOp.Ping:
                // Without room for the answer there is no need for it: the packets that fill the ring are signs of life themselves.
                link.TryWrite(ControlMessage.Pong(message));
                return true;
            case ControlOp.LoggedIn when link.TellsLogins:
            case ControlOp.Pause or ControlOp.Resume or ControlOp.Reset or ControlOp.Gone:
                connection.Handler.OnControl(link, message);
                return true;
            case ControlOp.Drain:
                if (link.TrySetDraining()) log.DrainAsked();
                connection.Handler.OnControl(link, message);
                return true;
            case ControlOp.Close when link.Terms is not null:
                connection.EndForGood($"closed by the other side: {Handshake.SanitizeForLog(message.Reason) ?? "no reason given"}");
                return true;
            case ControlOp.Refuse:
                connection.EndForGood(Handshake.DescribeRefusal(message));
                return false;
            case ControlOp.Hello:
                return Violated("a second hello");
            case ControlOp.Pong:
                connection.KeepAlive.OnPong();
                return true;
            default:
                metrics.AddControlIgnored(1);
                return true;
        }
    }

    /// <summary>Heeds a packet ahead of those that wait for room, if it keeps the link itself going.</summary>
    /// <returns>False when the connection is to be closed.</returns>
    public bool Heed(ReadOnlySpan<byte> content)
    {
        // What cannot be read is found out when its turn has come.
        if (!ControlReader.TryRead(content, out ControlMessage? message, out _)) return true;
        if (message.Op == ControlOp.Ping) link.TryWrite(ControlMessage.Pong(message));
        return message.Op != ControlOp.Ack || Acknowledge(message);
    }

    private bool Acknowledge(ControlMessage message) =>
        link.TryAcknowledge(message.Received!.Value)
        || Violated($"{message.Received} bytes were acknowledged, which were not sent or do not end with a packet");

    private bool Violated(string what)
    {
        connection.EndForViolation(what);
        return false;
    }
}
