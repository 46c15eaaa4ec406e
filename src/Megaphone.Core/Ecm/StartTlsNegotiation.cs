using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What a client sends before its TLS: pieces of its stream, up to <c>&lt;starttls/&gt;</c>.</summary>
internal sealed class StartTlsNegotiation(PendingSockets sockets, StreamSplitter splitter, RoleMetrics metrics)
{
    private const int MaxPieceBytes = StartTlsDialogue.MaxPieceBytes;

    /// <summary>Handles what has arrived. Afterwards the client waits for more, is in its handshake, is rejected, or is gone.</summary>
    public void Handle(PendingHandshake client, StartTlsDialogue dialogue, Span<byte> buffer)
    {
        if (!sockets.TryReceive(client, buffer, out ReadOnlySpan<byte> unread)) return;
        StreamSplitter.Step step;
        StreamFault? fault;
        while ((step = splitter.Next(ref client.Stream, MaxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out fault))
            == StreamSplitter.Step.Piece)
        {
            // White space is not an attack: it is dropped, and some clients end lines where the RFC allows none.
            bool more = XmlBytes.CountWhiteSpace(unread) < unread.Length;
            if (!sockets.TrySend(client, dialogue.Accept(piece, more))) return;
            if (dialogue.IsOver)
            {
                if (dialogue.Refusal is { } condition) metrics.AddStreamError(condition);
                sockets.Reject(client, dialogue.Refusal is null ? HandshakeEnd.Abandoned : HandshakeEnd.StreamError);
                return;
            }

            if (!dialogue.HasProceeded) continue;
            splitter.Release(ref client.Stream, MaxPieceBytes);
            client.Host = dialogue.Host;
            client.Dialogue = null;
            sockets.Arm(client, Libc.EpollIn);
            return;
        }

        if (step == StreamSplitter.Step.Incomplete)
        {
            sockets.Arm(client, Libc.EpollIn);
        }
        else if (sockets.TrySend(client, dialogue.Refuse(fault!.Condition)))
        {
            metrics.AddStreamError(fault.Condition);
            sockets.Reject(client, HandshakeEnd.StreamError);
        }
    }
}
