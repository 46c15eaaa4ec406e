using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>One of an ECM's links, across reconnects: passes what the server sends to the clients.</summary>
internal sealed class EcmLink(RoleMetrics metrics) : ILinkHandler
{
    private ReactorGroup<EcmClient>? _clients;
    private volatile Link? _current;

    /// <summary>The link that is up now; null while none is.</summary>
    public Link? Current => _current;

    /// <summary>Whether new sessions may be put on it.</summary>
    public bool IsUsable => _current is { Draining: false };

    /// <summary>Attaches the reactors that hold its clients; before it is connected.</summary>
    public void Attach(ReactorGroup<EcmClient> clients) => _clients = clients;

    /// <inheritdoc/>
    public void OnUp(Link link) => _current = link;

    /// <inheritdoc/>
    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        // The id contains the client's slot, and the link's number tells whether it is this link's client: no lookup is needed.
        ConnectionId client = new(id);
        bool accepted = content.IsEmpty ? _clients!.EndWrite(client, link.Number) : _clients!.Send(client, link.Number, content);
        if (!accepted) metrics.AddDropped(DropReason.SessionOver);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public void OnControl(Link link, ControlMessage message)
    {
        if (message.Id is not { } id) return;
        ConnectionId client = new(id);
        if (message.Op == ControlOp.Reset) _clients!.Abort(client, link.Number, CloseReason.ResetByPeer);
        else _clients!.PauseReading(client, link.Number, message.Op == ControlOp.Pause);
    }

    /// <inheritdoc/>
    public void OnWritable(Link link) => _clients!.ReleaseStalled();

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        _current = null;
        _clients!.Sweep();

        // The ring will never have room again: clients that wait for it must find out now that the link is down.
        _clients.ReleaseStalled();
    }
}
