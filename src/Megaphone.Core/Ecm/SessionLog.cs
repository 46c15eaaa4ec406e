using System.Collections.Concurrent;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What is logged of single clients, at <c>Debug</c> only: else nothing is found out for it, and nothing is kept.</summary>
internal sealed class SessionLog(EcmLog log, ClientDesk desk)
{
    /// <summary>Of those who have come while this was logged: when both ends have ended a connection the kernel tells no address any more.</summary>
    private readonly ConcurrentDictionary<ulong, NativeAddress> _addresses = new();

    /// <summary>A client is served from now on.</summary>
    public void Began(ConnectionId id, in NativeAddress address)
    {
        if (log.LogsClients) _addresses[id.Value] = address;
    }

    /// <summary>A client's stream is refused. For the thread of its reactor.</summary>
    public void Refused(ConnectionId id, StreamFault fault)
    {
        if (log.LogsClients) log.StreamRefused(id.Value, AddressOf(id), fault);
    }

    /// <summary>A client's frames are refused. For the thread of its reactor.</summary>
    public void Refused(ConnectionId id, CloseCode code)
    {
        if (log.LogsClients) log.FramesRefused(id.Value, AddressOf(id), (int)code);
    }

    /// <summary>A client has gone, and its socket can still be asked.</summary>
    public void Ended(in SurveyedConnection connection, in EcmClient client, CloseReason reason)
    {
        bool isKnown = _addresses.TryRemove(connection.Id.Value, out NativeAddress address);
        if (!log.LogsClients || client.LinkIndex == EcmClient.RelayedServer) return;
        ClientFacts facts = desk.Describe(connection, client);
        log.ClientEnded(
            connection.Id.Value, isKnown ? $"{address}" : facts.Address, facts.Listener, facts.Tls ?? "no TLS", facts.AgeSeconds,
            Label.Of(reason), facts.BytesIn, facts.BytesOut);
    }

    private string AddressOf(ConnectionId id) => _addresses.TryGetValue(id.Value, out NativeAddress address) ? $"{address}" : desk.AddressOf(id);
}
