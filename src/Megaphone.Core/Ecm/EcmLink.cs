using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>One of an ECM's links, through all its connections: brings what the server says to the clients.</summary>
internal sealed class EcmLink(RoleMetrics metrics) : ILinkHandler
{
    private ReactorGroup<EcmClient>? _clients;
    private volatile Link? _current;

    /// <summary>The link as it is connected now; null while it is not.</summary>
    public Link? Current => _current;

    /// <summary>Whether new sessions may be put on it.</summary>
    public bool IsUsable => _current is { Draining: false };

    /// <summary>Gives it the clients that it serves; before it is connected.</summary>
    public void Serve(ReactorGroup<EcmClient> clients) => _clients = clients;

    /// <inheritdoc/>
    public void OnUp(Link link) => _current = link;

    /// <inheritdoc/>
    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        // The id says where the client is, and the link's number whether it is this link's: nothing is looked up.
        ConnectionId client = new(id);
        bool taken = content.IsEmpty ? _clients!.EndWrite(client, link.Number) : _clients!.Send(client, link.Number, content);
        if (!taken) metrics.AddDropped(DropReason.SessionOver);
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
    public void OnBatchEnd(Link link)
    {
        // What arrived has gone to the descriptors already.
    }

    /// <inheritdoc/>
    public void OnWritable(Link link) => _clients!.ReleaseStalled();

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        _current = null;
        _clients!.Sweep();

        // A ring that nobody empties has never room again: what waits for it is to see now that there is no link.
        _clients.ReleaseStalled();
    }
}
