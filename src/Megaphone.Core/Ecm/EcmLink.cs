using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Ecm;

/// <summary>One of an ECM's links, across reconnects: counts its clients, and passes what the server sends to them.</summary>
/// <remarks>Who it leads to, and when, is decided under the lock of its <see cref="EcmServers"/>.</remarks>
/// <param name="servers">All links.</param>
/// <param name="address">Where it is connected to.</param>
/// <param name="index">By which its clients find it.</param>
/// <param name="clients">The reactors that hold them.</param>
/// <param name="metrics">The role's counters.</param>
internal sealed class EcmLink(EcmServers servers, TargetAddress address, ushort index, ReactorGroup<EcmClient> clients, RoleMetrics metrics)
    : ILinkHandler
{
    /// <summary>For how long such a word counts: until its link has been found dead. Later it may be an old story.</summary>
    private const int GoneMilliseconds = 60_000;

    private volatile Link? _current;
    private volatile bool _hasLeft;
    private volatile bool _isTakenOut;
    private TaskCompletionSource? _needed;
    private bool _wasUp;

    /// <summary>When another server said that this one has died, as <see cref="Environment.TickCount64"/> tells the time.</summary>
    private long _goneAt = -GoneMilliseconds;

    /// <summary>
    /// Above: the number of the link that is, or was last, up; below: how many clients it has. In one word, so that a client of an earlier
    /// connection is never counted off a later one.
    /// </summary>
    private long _clients;

    /// <summary>Where it is connected to.</summary>
    public TargetAddress Address => address;

    /// <summary>By which its clients find it: <see cref="EcmServers.Find"/>.</summary>
    public ushort Index => index;

    /// <summary>The link that is up, or cut and waited for; null while none is.</summary>
    public Link? Current => _current;

    /// <summary>Whether it is up.</summary>
    public bool IsUp => _current is { IsCut: false };

    /// <summary>The link that is up or cut, if new clients may be put on it.</summary>
    public Link? Usable => !_hasLeft && !_isTakenOut && _current is { Draining: false } link ? link : null;

    /// <summary>How many clients it has.</summary>
    public int Clients => (int)Volatile.Read(ref _clients);

    /// <summary>Whether name servers no longer list its address: it gets no new clients. Set with its servers' lock held.</summary>
    public bool HasLeft
    {
        get => _hasLeft;
        set => _hasLeft = value;
    }

    /// <summary>Whether an operator has taken its server out: it gets no new clients. Set with its servers' lock held.</summary>
    public bool IsTakenOut
    {
        get => _isTakenOut;
        set => _isTakenOut = value;
    }

    /// <summary>Who it leads to, while it is up; while it stands by, whose links are enough.</summary>
    public string? Server { get; private set; }

    /// <summary>While it stands by, completes when its server has lost a link; else null.</summary>
    public Task? UntilNeeded => Volatile.Read(ref _needed)?.Task;

    /// <summary>How it is now.</summary>
    public LinkStatus Status
    {
        get
        {
            Link? link = _current;
            string state = link is null ? UntilNeeded is null ? "down" : "standing by"
                : link.IsCut ? "cut"
                : _isTakenOut ? "drained"
                : link.Draining ? "draining"
                : _hasLeft ? "left" : "up";
            return new LinkStatus(
                address.Target.ToString(), link is null ? null : Server, state, Clients, link?.Age,
                link is { IsCut: false } ? link.Connection?.RoundTrip : null,
                link is null ? 0 : link.Ring.Queued + link.Ring.Unacknowledged, link?.Ring.Capacity ?? 0);
        }
    }

    /// <summary>Records that a client is put on it.</summary>
    public void AddClient(int owner) => Count(owner, 1);

    /// <summary>Records that a client has gone.</summary>
    /// <param name="owner">The number of the link that had it; on another one nothing changes.</param>
    public void RemoveClient(int owner) => Count(owner, -1);

    /// <summary>It is up, without clients. Its servers' lock is held.</summary>
    public void Begin(string server, Link link)
    {
        Server = server;
        Volatile.Write(ref _needed, null);
        Volatile.Write(ref _clients, (long)link.Number << 32);
        _current = link;
    }

    /// <summary>It is down. Its servers' lock is held.</summary>
    public void End()
    {
        _current = null;
        Volatile.Write(ref _clients, 0);
    }

    /// <summary>Writes it. It is cut, and nobody uses it.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(index);
        writer.WriteText(address.Target.Host);
        writer.Write((ushort)address.Target.Port);
        writer.WriteText(address.EndPoint.ToString());
        writer.WriteText(Server);
        writer.Write(_hasLeft);
        writer.Write(Clients);
        _current!.Save(writer);
    }

    /// <summary>Reads where a link leads to that <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static (ushort Index, TargetAddress Address) RestoreAddress(StateReader reader)
    {
        ushort index = reader.Read<ushort>();
        HostPort target = new(reader.ReadName("a link's target"), reader.Read<ushort>());
        return (index, new TargetAddress(target, reader.ReadListening("a link's address")));
    }

    /// <summary>Reads the rest. Its servers' lock is held.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader, LinkOptions options, LinkConnectionLog log)
    {
        string server = reader.ReadName("a link's server");
        _hasLeft = reader.ReadFlag();
        int clientsBefore = reader.ReadNumber(0, int.MaxValue, "a link's clients");
        Link link = Link.Restore(reader, this, options, metrics, log);
        Begin(server, link);
        Volatile.Write(ref _clients, ((long)link.Number << 32) + clientsBefore);
        _wasUp = true;
    }

    /// <summary>It is not needed at present. Its servers' lock is held.</summary>
    public void StandBy(string server)
    {
        Server = server;
        Volatile.Write(ref _needed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
    }

    /// <summary>It is tried again, whether it is needed or not.</summary>
    public void EndStandby() => Volatile.Write(ref _needed, null);

    /// <summary>Its server has lost a link, or one whose address has left. Its servers' lock is held.</summary>
    public void Wake(string server)
    {
        if (Server == server) _needed?.TrySetResult();
    }

    /// <summary>Another server says that the server that this leads to has died: if the link is cut, or is soon, it is not waited for.</summary>
    public void SetGone()
    {
        Volatile.Write(ref _goneAt, Environment.TickCount64);
        LoseIfGone();
    }

    /// <summary>Ends the link if it is cut and its server has died.</summary>
    public void LoseIfGone()
    {
        if (Environment.TickCount64 - Volatile.Read(ref _goneAt) < GoneMilliseconds && _current is { IsCut: true } cut)
            cut.Lose("another server says that this one is gone for good");
    }

    /// <inheritdoc/>
    public void OnResumed(Link link) => servers.CountReconnect(address.Target, isResumed: true);

    /// <inheritdoc/>
    public void OnUp(Link link)
    {
        Volatile.Write(ref _goneAt, -GoneMilliseconds);
        if (_wasUp) servers.CountReconnect(address.Target, isResumed: false);
        _wasUp = true;
        if (!servers.TryJoin(this, link)) _ = link.Connection!.DrainAsync(CancellationToken.None, $"{Server} has its links already");
    }

    /// <inheritdoc/>
    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        // The id contains the client's slot, and the link's number tells whether it is this link's client: no lookup is needed.
        ConnectionId client = new(id);
        if (!link.TellsLogins) clients.Admit(client, link.Number);
        bool accepted = servers.Web is { } web && web.Has(client) ? web.TryDeliver(client, link.Number, content)
            : content.IsEmpty ? clients.EndWrite(client, link.Number)
            : clients.Send(client, link.Number, content, moreFollows: !IsWhole(content, link.UnfinishedLength));
        if (!accepted) metrics.AddDropped(DropReason.SessionOver);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public void OnControl(Link link, ControlMessage message)
    {
        if (message is { Op: ControlOp.Gone, Name: { } name }) servers.OnGone(name);
        foreach (ulong loggedIn in message.Ids ?? []) clients.Admit(new ConnectionId(loggedIn), link.Number);
        if (message.Id is not { } id) return;
        ConnectionId client = new(id);
        if (message.Op == ControlOp.Reset) clients.Abort(client, link.Number, CloseReason.ResetByPeer);
        else clients.PauseReading(client, link.Number, message.Op == ControlOp.Pause);
    }

    /// <inheritdoc/>
    public void OnWritable(Link link) => clients.ReleaseStalled();

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        if (!servers.TryLeave(this, link)) return;
        clients.Sweep();

        // The ring will never have room again: clients that wait for it must find out now that the link is down.
        clients.ReleaseStalled();
    }

    /// <summary>
    /// Whether a packet ends where a piece of the server's stream does; where the server does not say so, whether it seems to: such a piece ends
    /// with a tag, or is white space.
    /// </summary>
    private static bool IsWhole(ReadOnlySpan<byte> content, int unfinishedLength) =>
        unfinishedLength > 0 ? content.Length != unfinishedLength : content[^1] == '>' || content.Length == 1;

    private void Count(int owner, int change)
    {
        long seen = Volatile.Read(ref _clients);
        while (seen >> 32 == owner)
        {
            long before = Interlocked.CompareExchange(ref _clients, seen + change, seen);
            if (before == seen) return;
            seen = before;
        }
    }
}
