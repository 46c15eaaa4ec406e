using System.Net;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>What an operator may ask of the clients, and order.</summary>
/// <remarks>Thread-safe. Nobody is held up but a client who is shown, for as long as that takes.</remarks>
internal sealed class ClientDesk(
    EcmOptions options, Func<int, string> listenerName, ReactorGroup<EcmClient> reactors, EcmServers servers, ClientLimits limits)
{
    /// <summary>With any of these a connection is about to be closed, or in the middle of that.</summary>
    private const ConnectionFlags Ending = ConnectionFlags.ReadEnded | ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded
        | ConnectionFlags.CloseWhenFlushed | ConnectionFlags.Aborting | ConnectionFlags.Kicked;

    private readonly bool _hasProxies = options.Clients.Any(client => client.HasProxies);

    /// <summary>Finds clients.</summary>
    /// <param name="within">Their addresses; null: any.</param>
    /// <param name="most">How many are described.</param>
    /// <param name="count">How many there are.</param>
    public IReadOnlyList<ClientFacts> Find(IPNetwork? within, int most, out int count)
    {
        List<ClientFacts> found = [];
        int matches = 0;
        reactors.Survey(
            Filter(within, () => within is not null || Volatile.Read(ref matches) < most),
            (in SurveyedConnection connection, in EcmClient client) =>
            {
                if (Interlocked.Increment(ref matches) > most) return;
                ClientFacts facts = Describe(connection, client);
                lock (found) found.Add(facts);
            });
        count = within is null ? Math.Max(found.Count, reactors.Count) : matches;
        return [.. found.OrderByDescending(client => client.AgeSeconds).ThenBy(client => client.Id, StringComparer.Ordinal)];
    }

    /// <summary>Ends the clients with addresses in a network.</summary>
    /// <returns>How many there are.</returns>
    public int Kick(IPNetwork within)
    {
        List<ConnectionId> found = [];
        reactors.Survey(
            Filter(within, () => true),
            (in SurveyedConnection connection, in EcmClient _) =>
            {
                lock (found) found.Add(connection.Id);
            });
        return reactors.Kick(found);
    }

    /// <summary>Ends a client.</summary>
    /// <returns>False when it is not there.</returns>
    public bool TryKick(ulong id) => reactors.Kick([new ConnectionId(id)]) == 1;

    /// <summary>How a client's address is shown. For the thread of its reactor.</summary>
    public string AddressOf(ConnectionId id)
    {
        NativeAddress peer = reactors.PeerOf(id);
        return Show(id, peer, Named(id, peer));
    }

    /// <summary>What there is to tell of a client, whose gate is held.</summary>
    public ClientFacts Describe(in SurveyedConnection connection, in EcmClient client)
    {
        NativeAddress peer = NativeSocket.PeerAddress(connection.Descriptor);
        ClientAddress? named = Named(connection.Id, peer);
        SocketCounts counts = SocketCounts.Of(connection.Descriptor);
        return new ClientFacts(
            $"{connection.Id.Value}",
            Show(connection.Id, peer, named),
            named is null ? null : peer.ToString(),
            listenerName(client.Listener),
            Tls(connection),
            (long)client.AgeAt(Environment.TickCount64).TotalSeconds,
            (long)counts.Silence.TotalSeconds,
            client.IsRelayed ? null : servers.NameOf(client.LinkIndex, connection.Owner),
            State(connection, client),
            counts.Received,
            counts.Sent);
    }

    private SurveyFilter<EcmClient> Filter(IPNetwork? within, Func<bool> wantsMore)
    {
        if (within is not { } network)
            return (ConnectionId _, int _, in EcmClient client) => client.LinkIndex != EcmClient.RelayedServer && wantsMore();

        // To ask the kernel for the address of each of a million would take half a second.
        NetworkList networks = new([network]);
        byte? hint = ClientAddress.HintOf(network);
        return (ConnectionId id, int descriptor, in EcmClient client) =>
            (hint is null || client.AddressHint == hint) && client.LinkIndex != EcmClient.RelayedServer && IsIn(networks, id, descriptor);
    }

    private bool IsIn(NetworkList networks, ConnectionId id, int descriptor)
    {
        NativeAddress peer = NativeSocket.PeerAddress(descriptor);
        Span<byte> bytes = stackalloc byte[16];
        return networks.Contains(Named(id, peer) is { } named ? named.WriteTo(bytes) : peer.AddressBytes);
    }

    /// <summary>Whom a proxy has named; null: the client came by itself.</summary>
    private ClientAddress? Named(ConnectionId id, in NativeAddress peer) =>
        _hasProxies && limits.TryFind(id, out ClientAddress address) && address != ClientAddress.Of(peer) ? address : null;

    /// <remarks>Of a connection that has ended the kernel tells no address any more. It may be known where the client has not logged in.</remarks>
    private string Show(ConnectionId id, in NativeAddress peer, ClientAddress? named)
    {
        if (named is null && peer.Family != 0) return peer.ToString();
        if ((named ?? (limits.TryFind(id, out ClientAddress known) ? known : null)) is not { } address) return "an unknown address";
        return address.IsV4 || address.IsUnix ? address.ToString() : $"{address}/64";
    }

    private string State(in SurveyedConnection connection, in EcmClient client)
    {
        if ((connection.Flags & Ending) != 0) return "ending";
        if (client.IsRelayed) return "relayed";
        Link? link = servers.Find(client.LinkIndex, connection.Owner);
        if (link is null) return "link lost";
        if (link.IsCut) return "link cut";
        if (connection.Flags.HasFlag(ConnectionFlags.Held)) return "waiting";
        if (!connection.Flags.HasFlag(ConnectionFlags.Admitted)) return "not logged in";
        if (connection.Flags.HasFlag(ConnectionFlags.ReadPaused)) return "paused";
        return connection.Flags.HasFlag(ConnectionFlags.AboveHigh) ? "slow" : "logged in";
    }

    private static string? Tls(in SurveyedConnection connection)
    {
        if (connection.Tls != default) return $"{connection.Tls.Version} {connection.Tls.Algorithm.Name()}";
        return connection.Flags.HasFlag(ConnectionFlags.OpenSslRecords) ? "OpenSSL" : null;
    }
}
