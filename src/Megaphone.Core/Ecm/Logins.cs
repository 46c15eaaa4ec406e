using System.Runtime.InteropServices;
using Megaphone.Handover;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>The clients that have not logged in, on links where logins are paced, and whose turn it is at each server.</summary>
/// <remarks>Not thread-safe: <see cref="LoginGate"/> has the lock. No step takes longer because more clients wait.</remarks>
internal sealed unsafe class Logins : IDisposable
{
    /// <summary>How long a turn lasts at most, in milliseconds.</summary>
    public const int TurnMilliseconds = 5000;

    private const int Shards = 64;

    private readonly LoginOptions _options;
    private readonly LimitOptions _limits;
    private readonly Action<ConnectionId> _release;
    private readonly Func<string, bool> _isUp;
    private readonly NativeTable<nint>[] _clients = [.. Enumerable.Range(0, Shards).Select(_ => new NativeTable<nint>())];
    private readonly Server?[] _servers = new Server?[EcmServers.MaxLinks];
    private readonly (int Waiting, int UnderWay)[] _onLinks = new (int, int)[EcmServers.MaxLinks];
    private readonly DeadlineQueue _turnEnds;
    private readonly DeadlineQueue _waitEnds;
    private int _used;

    /// <param name="options">How many have a turn, and how long others wait for it.</param>
    /// <param name="limits">What of an address tells one from another.</param>
    /// <param name="maxClients">The most clients that there may be.</param>
    /// <param name="release">Called when a client that waits is to ask again.</param>
    /// <param name="isUp">Whether a server can be reached now: while it cannot no turn begins there.</param>
    /// <exception cref="IOException">There is no address space for the deadlines.</exception>
    public Logins(LoginOptions options, LimitOptions limits, int maxClients, Action<ConnectionId> release, Func<string, bool> isUp)
    {
        (_options, _limits, _release, _isUp) = (options, limits, release, isUp);
        _turnEnds = new DeadlineQueue(TimeSpan.FromMilliseconds(TurnMilliseconds), maxClients, (id, _) => Is(id, LoginStage.InTurn));
        _waitEnds = new DeadlineQueue(options.MaxWait, maxClients, (id, _) => Is(id, LoginStage.Waiting));
    }

    /// <summary>What a client hears that asks whether it may go on.</summary>
    public enum Answer
    {
        /// <summary>It may: nothing is known of it, or its turn has begun before.</summary>
        GoOn,

        /// <summary>Its turn begins: <see cref="HeaderOf"/> is to be sent, and then <see cref="Begin"/> to be called.</summary>
        Begin,

        /// <summary>It has to wait until it is released.</summary>
        Wait,

        /// <summary>It has waited for too long.</summary>
        TooLate,
    }

    /// <summary>Clients of which something is known.</summary>
    public int Count { get; private set; }

    /// <summary>Clients that wait, at all servers.</summary>
    public int Waiting { get; private set; }

    /// <summary>How many clients of a link wait, and how many have their turn.</summary>
    public (int Waiting, int UnderWay) OnLink(int index) => _onLinks[index];

    /// <summary>A client has come, on a link where logins are paced.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="server">Where it is to log in.</param>
    /// <param name="link">The index of its link.</param>
    /// <param name="address">To whom it is attributed.</param>
    /// <param name="header">What the server is to be sent first: at most <see cref="PacedClient.MaxHeaderBytes"/>. It is copied.</param>
    public void Add(ConnectionId id, string server, int link, ClientAddress address, ReadOnlySpan<byte> header)
    {
        int index = IndexOf(server);
        PacedClient* client = PacedClient.Make(header);
        (client->Id, client->Address, client->Link, client->Server) = (id.Value, address.Value, (ushort)link, (ushort)index);
        uint hash = NativeTable<nint>.HashOf(id.Value);
        *_clients[hash % Shards].Add(id.Value, hash) = (nint)client;
        _servers[index]!.Clients++;
        Count++;
    }

    /// <summary>A client has something to say, and asks whether it may.</summary>
    public Answer Ask(ConnectionId id, long now)
    {
        PacedClient* client = Find(id);
        if (client == null || client->HasBegun) return Answer.GoOn;
        if (client->Stage == LoginStage.Silent)
        {
            Expire(now);
            Enqueue(client, now);
            Pump(client->Server, now, asks: client);
        }

        return client->Stage switch
        {
            LoginStage.Waiting => Answer.Wait,
            LoginStage.TooLate => Answer.TooLate,
            _ => Answer.Begin,
        };
    }

    /// <summary>What its server is to be sent first of a client whose turn begins; may be empty.</summary>
    public ReadOnlySpan<byte> HeaderOf(ConnectionId id) => Find(id) is var client && client == null ? default : PacedClient.Header(client);

    /// <summary>A client that was told to begin has done so.</summary>
    public void Begin(ConnectionId id)
    {
        PacedClient* client = Find(id);
        if (client != null) (client->HasBegun, client->HeaderLength) = (true, 0);
    }

    /// <summary>A client has logged in or has gone, if it was known. One that waits is released, as it may have logged in all the same.</summary>
    public void Remove(ConnectionId id, long now)
    {
        PacedClient* client = Find(id);
        if (client == null) return;
        Server server = _servers[client->Server]!;
        int index = client->Server;
        if (client->Stage == LoginStage.InTurn) End(client);
        else if (client->Stage == LoginStage.Waiting) Withdraw(client);
        uint hash = NativeTable<nint>.HashOf(id.Value);
        _clients[hash % Shards].Remove(id.Value, hash);
        NativeMemory.Free(client);
        Count--;
        if (--server.Clients > 0)
        {
            Pump(index, now);
            return;
        }

        server.Turns.Dispose();
        _servers[index] = null;
        while (_used > 0 && _servers[_used - 1] is null) _used--;
    }

    /// <summary>Ends the turns and the waits that have lasted long enough, and gives the turns to others. To be called now and then.</summary>
    public void Expire(long now)
    {
        while (_turnEnds.TryTakeDue(now, out ConnectionId id, out _))
        {
            PacedClient* client = Find(id);
            if (client != null && client->Stage == LoginStage.InTurn) End(client);
        }

        while (_waitEnds.TryTakeDue(now, out ConnectionId id, out _))
        {
            PacedClient* client = Find(id);
            if (client == null || client->Stage != LoginStage.Waiting) continue;
            Withdraw(client);
            client->Stage = LoginStage.TooLate;
        }

        _turnEnds.Sift(Count);
        _waitEnds.Sift(Count);
        for (int index = 0; index < _used && Waiting > 0; index++) Pump(index, now);
    }

    /// <summary>Writes all of it: those who wait in the order in which they came.</summary>
    public void Save(StateWriter writer, long now)
    {
        List<nint> all = [];
        foreach (NativeTable<nint> shard in _clients)
        {
            for (int i = 0; i < shard.Size; i++)
            {
                nint* client = shard.At(i, out _);
                if (client != null) all.Add(*client);
            }
        }

        writer.Write(_used);
        foreach (Server? server in _servers[.._used]) writer.WriteText(server?.Name);
        writer.Write(all.Count);
        foreach (nint one in all.OrderByDescending(one => AgeOf((PacedClient*)one, now)).ThenBy(one => ((PacedClient*)one)->Id))
        {
            PacedClient* client = (PacedClient*)one;
            writer.Write(client->Id);
            writer.Write(client->Server);
            writer.Write(client->Link);
            writer.Write(client->Address);
            writer.Write(client->Stage);
            writer.Write(client->HasBegun);
            writer.Write(now - AgeOf(client, now));
            writer.WriteBytes(PacedClient.Header(client));
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written. Who waits goes on waiting, and who has its turn has the rest of it.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader, long now)
    {
        string?[] servers = new string?[reader.ReadNumber(0, EcmServers.MaxLinks, "the number of servers")];
        for (int i = 0; i < servers.Length; i++) servers[i] = reader.ReadText("a server's name");
        for (int left = reader.ReadNumber(0, int.MaxValue, "the number of clients that have not logged in"); left > 0; left--)
        {
            ConnectionId id = new(reader.Read<ulong>());
            ushort server = reader.Read<ushort>(), link = reader.Read<ushort>();
            ClientAddress address = new(reader.Read<ulong>());
            LoginStage stage = reader.Read<LoginStage>();
            bool hasBegun = reader.ReadFlag();
            long since = Math.Min(reader.Read<long>(), now);
            ReadOnlySpan<byte> header = reader.ReadBytes(PacedClient.MaxHeaderBytes, "a PROXY header that was not sent");
            reader.Check(id.Value < ulong.MaxValue && Find(id) == null && address.IsPossible, "a client that has not logged in");
            reader.Check(server < servers.Length && servers[server] is not null && link < EcmServers.MaxLinks, "its server");
            reader.Check(stage <= LoginStage.HadTurn && (!hasBegun || stage >= LoginStage.InTurn), "how far its login is");
            Add(id, servers[server]!, link, address, header);
            PacedClient* client = Find(id);
            client->HasBegun = hasBegun;
            if (stage == LoginStage.Waiting) Enqueue(client, since);
            else if (stage == LoginStage.InTurn) BeginAgain(client, since);
            client->Stage = stage;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (NativeTable<nint> shard in _clients)
        {
            for (int i = 0; i < shard.Size; i++)
            {
                nint* client = shard.At(i, out _);
                if (client != null) NativeMemory.Free((void*)*client);
            }

            shard.Dispose();
        }

        foreach (Server? server in _servers) server?.Turns.Dispose();
        Array.Clear(_servers);
        (Count, Waiting, _used) = (0, 0, 0);
        _turnEnds.Dispose();
        _waitEnds.Dispose();
    }

    private PacedClient* Find(ConnectionId id)
    {
        if (Count == 0) return null;
        uint hash = NativeTable<nint>.HashOf(id.Value);
        nint* found = _clients[hash % Shards].Find(id.Value, hash);
        return found == null ? null : (PacedClient*)*found;
    }

    private bool Is(ConnectionId id, LoginStage stage) => Find(id) is var client && client != null && client->Stage == stage;

    private void Enqueue(PacedClient* client, long now)
    {
        (client->Stage, client->Since) = (LoginStage.Waiting, (uint)now);
        _servers[client->Server]!.Turns.Enqueue(client, NetworkOf(client));
        _waitEnds.Arm(new ConnectionId(client->Id), now);
        CountWaiting(client, 1);
    }

    private void BeginAgain(PacedClient* client, long since)
    {
        client->Since = (uint)since;
        _servers[client->Server]!.Turns.BeginAgain(client, NetworkOf(client));
        _turnEnds.Arm(new ConnectionId(client->Id), since);
        _onLinks[client->Link].UnderWay++;
    }

    /// <summary>Begins all turns that can begin at a server.</summary>
    /// <param name="index">The server.</param>
    /// <param name="now">The time.</param>
    /// <param name="asks">A client that need not be released.</param>
    private void Pump(int index, long now, PacedClient* asks = null)
    {
        if (_servers[index] is not { Turns.Waiting: > 0 } server || !_isUp(server.Name)) return;
        for (PacedClient* client; (client = server.Turns.TryBegin()) != null;)
        {
            (client->Stage, client->Since) = (LoginStage.InTurn, (uint)now);
            _turnEnds.Arm(new ConnectionId(client->Id), now);
            CountWaiting(client, -1);
            _onLinks[client->Link].UnderWay++;
            if (client != asks) _release(new ConnectionId(client->Id));
        }
    }

    private void End(PacedClient* client)
    {
        client->Stage = LoginStage.HadTurn;
        _servers[client->Server]!.Turns.End(client);
        _onLinks[client->Link].UnderWay--;
    }

    private void Withdraw(PacedClient* client)
    {
        _servers[client->Server]!.Turns.Withdraw(client);
        CountWaiting(client, -1);
        _release(new ConnectionId(client->Id));
    }

    private static long AgeOf(PacedClient* client, long now) => (uint)now - client->Since;

    private void CountWaiting(PacedClient* client, int change)
    {
        Waiting += change;
        _onLinks[client->Link].Waiting += change;
    }

    private ClientAddress NetworkOf(PacedClient* client) => new ClientAddress(client->Address).Within(_limits.Ipv4Prefix, _limits.Ipv6Prefix);

    /// <summary>Finds a server, or makes it known.</summary>
    private int IndexOf(string name)
    {
        int free = -1;
        for (int index = 0; index < _used; index++)
        {
            if (_servers[index] is not { } server) free = free < 0 ? index : free;
            else if (server.Name == name) return index;
        }

        // More servers than there may be links are there only while clients of lost links are being closed: until then the first one's turns will do.
        if (free < 0 && _used == _servers.Length) return 0;
        if (free < 0) free = _used++;
        _servers[free] = new Server(name, new LoginTurns(_options.AtOnce == 0 ? int.MaxValue : _options.AtOnce));
        return free;
    }

    /// <summary>A server at which somebody has not logged in.</summary>
    private sealed class Server(string name, LoginTurns turns)
    {
        public string Name => name;

        public LoginTurns Turns => turns;

        public int Clients { get; set; }
    }
}
