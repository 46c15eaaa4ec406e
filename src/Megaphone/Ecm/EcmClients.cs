using System.Diagnostics;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Sockets;

namespace Megaphone.Ecm;

/// <summary>Brings what clients say onto the links.</summary>
internal sealed class EcmClients(EcmOptions options, RoleMetrics metrics, EcmLink[] links) : IConnectionHandler<EcmClient>
{
    private uint _next;
    private volatile bool _stopping;

    /// <summary>From now on nothing more is read from clients.</summary>
    public void StopReading() => _stopping = true;

    /// <inheritdoc/>
    public RefusalReason? Refusal()
    {
        foreach (EcmLink link in links)
        {
            if (link.IsUsable) return null;
        }

        return RefusalReason.NoLink;
    }

    /// <inheritdoc/>
    public RefusalReason? Accepted(ConnectionId id, ref EcmClient state, in NativeAddress peer, int descriptor, out int owner)
    {
        owner = 0;
        int index = PickLink();
        if (index < 0 || links[index].Current is not { } link) return RefusalReason.NoLink;

        state.LinkIndex = (ushort)index;
        if (options.Proxy != ProxyMode.None)
        {
            // Told at once, so that the server knows its client before the client has said a word.
            Span<byte> header = stackalloc byte[ProxyHeader.MaxBytes];
            int length = ProxyHeader.Write(header, options.Proxy, peer, NativeSocket.LocalAddress(descriptor));
            if (!link.TryWriteUrgent(id.Value, header[..length])) return RefusalReason.LinkFull;
            FlushBatch.Add(link);
            Open(ref state);
        }

        metrics.AddConnected();
        owner = link.Number;
        return null;
    }

    /// <inheritdoc/>
    public void Connected(ConnectionId id, ref EcmClient state) => throw new UnreachableException();

    /// <inheritdoc/>
    public bool TryNextAddress(ref EcmClient state, out NativeAddress address) => throw new UnreachableException();

    /// <inheritdoc/>
    public int Reserve(int owner, ref EcmClient state)
    {
        if (_stopping || LinkOf(owner, state) is not { } link) return -1;
        return link.TryAcquire(link.MaxContent) ? link.MaxContent : 0;
    }

    /// <inheritdoc/>
    public void Received(ConnectionId id, int owner, ref EcmClient state, ReadOnlySpan<byte> bytes)
    {
        // Lost between the reservation and now: its clients are about to be disconnected.
        if (LinkOf(owner, state) is not { } link) return;
        if (bytes.IsEmpty)
        {
            link.Return(link.MaxContent);
            return;
        }

        if (!state.Opened) Open(ref state);
        link.Write(id.Value, bytes);
        link.Return(link.MaxContent, bytes.Length);
        FlushBatch.Add(link);
    }

    /// <inheritdoc/>
    public Told TellReadEnded(ConnectionId id, int owner, ref EcmClient state)
    {
        // A client that never said anything has no session that could be ended.
        if (LinkOf(owner, state) is not { } link || !state.Opened) return Told.Close;
        if (!link.TryWrite(id.Value, [])) return Told.NoRoom;
        state.EndTold = true;
        FlushBatch.Add(link);
        return Told.Done;
    }

    /// <inheritdoc/>
    public Told TellSlow(ConnectionId id, int owner, ref EcmClient state, bool slow)
    {
        if (LinkOf(owner, state) is not { HasControl: true } link) return Told.Done;
        if (!link.TryWrite(slow ? ControlMessage.Pause(id.Value) : ControlMessage.Resume(id.Value))) return Told.NoRoom;
        if (slow) metrics.AddPause();
        return Told.Done;
    }

    /// <inheritdoc/>
    public Told TellClosed(ConnectionId id, int owner, ref EcmClient state, CloseReason reason)
    {
        if (state.Opened && reason is not (CloseReason.ResetByPeer or CloseReason.LinkLost) && LinkOf(owner, state) is { } link)
        {
            if (link.HasControl && reason != CloseReason.Ended)
            {
                if (!link.TryWrite(ControlMessage.Reset(id.Value, Label.Of(reason)))) return Told.NoRoom;
            }
            else if (!state.EndTold)
            {
                if (!link.TryWriteUrgent(id.Value, [])) return Told.NoRoom;
                FlushBatch.Add(link);
            }
        }

        metrics.RemoveConnected();
        if (state.Opened) metrics.AddSessionClosed(reason);
        return Told.Done;
    }

    /// <inheritdoc/>
    public CloseReason? Doomed(int owner, ref EcmClient state) =>
        !_stopping && LinkOf(owner, state) is null ? CloseReason.LinkLost : null;

    /// <inheritdoc/>
    public void BatchEnded() => FlushBatch.Flush();

    private void Open(ref EcmClient state)
    {
        state.Opened = true;
        metrics.AddSessionOpened();
    }

    /// <summary>The link that a client is on, or null when that connection of it is gone.</summary>
    private Link? LinkOf(int owner, in EcmClient state) =>
        links[state.LinkIndex].Current is { } link && link.Number == owner ? link : null;

    /// <summary>The next link in turn that takes sessions; -1 when none does. Called by the accepting reactor only.</summary>
    private int PickLink()
    {
        for (int tried = 0; tried < links.Length; tried++)
        {
            int index = (int)(_next++ % (uint)links.Length);
            if (links[index].IsUsable) return index;
        }

        return -1;
    }
}
