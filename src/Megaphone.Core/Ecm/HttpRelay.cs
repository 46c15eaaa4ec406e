using System.Net;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>Relays the connections of a listener for the web that are no WebSockets to a server for HTTP, byte by byte.</summary>
/// <remarks>
/// Both ends are connections of the ECM's reactors, and each names the other in its state. Neither is read while much waits to be sent to the
/// other: its handler has no room then, and is asked again when there is. What is relayed is not looked at: no two readers of one request
/// can differ about it.
/// </remarks>
internal sealed class HttpRelay(WebSlots slots, ReactorGroup<EcmClient> clients)
{
    private const int ReadBytes = 64 << 10;

    /// <summary>Begins to relay a client's connection.</summary>
    /// <param name="id">The client.</param>
    /// <param name="owner">Its owner number, which both ends have.</param>
    /// <param name="client">Its state, in which the caller then names the other end.</param>
    /// <param name="to">The server.</param>
    /// <param name="first">What the server gets first: a PROXY header, and what the client has sent.</param>
    /// <param name="server">The other end.</param>
    /// <returns>False when there is no room for the other end; nothing has changed.</returns>
    public bool TryBegin(ConnectionId id, int owner, in EcmClient client, IPEndPoint to, ReadOnlySpan<byte> first, out ConnectionId server)
    {
        EcmClient state = new() { LinkIndex = EcmClient.RelayedServer, Listener = client.Listener, Partner = id };
        if (!clients.TryConnect(new NativeAddress(to), owner, state, out server)) return false;
        slots.Begin(server, owner, client.Listener, WebPhase.Relay);
        slots[id].Phase = WebPhase.Relay;
        clients.Send(server, owner, first);
        return true;
    }

    /// <summary>An end can be read.</summary>
    /// <inheritdoc cref="IConnectionHandler{TState}.OnReadable"/>
    public Outcome OnReadable(int owner, in EcmClient end, IConnectionInput input)
    {
        if (slots.Has(end.Partner) && Volatile.Read(ref slots[end.Partner].IsSlow)) return Outcome.WouldBlock;
        ReadOnlySpan<byte> bytes = input.Receive(ReadBytes);
        if (!bytes.IsEmpty) clients.Send(end.Partner, owner, bytes);
        return Outcome.Done;
    }

    /// <summary>The peer of an end has ended its direction.</summary>
    public void OnPeerHalfClosed(int owner, in EcmClient end) => clients.EndWrite(end.Partner, owner);

    /// <summary>An end is closed.</summary>
    public void OnClosed(int owner, in EcmClient end, CloseReason reason)
    {
        bool isUnreachable = end.LinkIndex == EcmClient.RelayedServer && reason is CloseReason.BackendRefused or CloseReason.BackendTimeout;
        if (isUnreachable) clients.SendLast(end.Partner, owner, Web.HttpAnswer.BadGateway, default);
        else if (reason == CloseReason.Ended) clients.CloseWhenFlushed(end.Partner, owner, reason);
        else clients.Abort(end.Partner, owner, reason);
    }
}
