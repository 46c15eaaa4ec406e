using System.Diagnostics.CodeAnalysis;
using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Ecm;

/// <summary>Knows which server each link leads to, and chooses the link for each new client.</summary>
/// <remarks>
/// <para>A link leads to whoever its <c>welcome</c> names, whatever address it was connected to: the addresses of one server are one server,
/// and several servers may take turns behind one address. Where there is no name, the address is who it is.</para>
/// <para>Thread-safe. Links come and go under a lock; <see cref="Find"/> and <see cref="Choose(out Link?)"/>, which serve clients, read a
/// snapshot.</para>
/// </remarks>
/// <param name="linksEach">How many links a server gets; further ones stand by.</param>
/// <param name="log">The ECM's log.</param>
internal sealed class EcmServers(int linksEach, EcmLog log)
{
    /// <summary>Links to all servers together, those that stand by included.</summary>
    public const int MaxLinks = 1024;

    /// <summary>What modules called themselves, all of them alike, before they said the name of their node.</summary>
    private const string NameOfEarlierModules = "ejabberd_megaphone";

    private readonly Lock _lock = new();
    private readonly EcmLink?[] _links = new EcmLink?[MaxLinks];
    private readonly HashSet<TargetAddress> _reported = [];
    private readonly HashSet<HostPort> _takenOut = [];
    private readonly Dictionary<HostPort, (long Resumed, long Fresh)> _reconnects = [];
    private volatile EcmServer[] _servers = [];
    private uint _turn;
    private volatile bool _isStopping;

    /// <summary>Whether a new client can be served, if only when a link that is cut has come back.</summary>
    public bool AreUsable => Any(link => link.Usable is not null);

    /// <summary>Whether a new client can be served now.</summary>
    public bool AreUp => Any(link => link.Usable is { IsCut: false });

    /// <summary>Makes frames for WebSocket clients; null: there are none. Set before links are up.</summary>
    public WebSocketOutput? Web { get; set; }

    /// <summary>All links, up or not.</summary>
    public IReadOnlyList<EcmLink> Links
    {
        get
        {
            lock (_lock) return [.. _links.OfType<EcmLink>()];
        }
    }

    /// <summary>From now on links end because they are asked to.</summary>
    public void Stop() => _isStopping = true;

    /// <summary>The link of a client; null when the one that it was on is down.</summary>
    /// <param name="index">The link's index.</param>
    /// <param name="owner">Its number when it got the client.</param>
    public Link? Find(int index, int owner) => _links[index]?.Current is { } link && link.Number == owner ? link : null;

    /// <summary>Who a link leads to, or led to last.</summary>
    public string ServerOf(int index) => _links[index]?.Server ?? "";

    /// <summary>Whether a server has a link that is up, and not cut.</summary>
    public bool IsReachable(string name)
    {
        foreach (EcmServer server in _servers)
        {
            if (server.Name == name) return server.Links.Any(link => link.IsUp);
        }

        return false;
    }

    /// <summary>Records that a client has gone; does nothing if its link has gone before.</summary>
    /// <inheritdoc cref="Find"/>
    public void RemoveClient(int index, int owner) => _links[index]?.RemoveClient(owner);

    /// <summary>Chooses the link for a new client: of the server with the fewest clients the link with the fewest. Equals take turns. Links
    /// that are cut are chosen from only where no other is left: the client waits with those that are there.</summary>
    /// <param name="current">The link, as it is now.</param>
    /// <returns>Null when no server takes new clients.</returns>
    public EcmLink? Choose(out Link? current) => Choose(isCut: false, out current) ?? Choose(isCut: true, out current);

    /// <summary>Makes a link to an address; it is connected by the caller.</summary>
    /// <returns>False when there are <see cref="MaxLinks"/>.</returns>
    public bool TryAdd(TargetAddress address, ReactorGroup<EcmClient> clients, RoleMetrics metrics, [NotNullWhen(true)] out EcmLink? link)
    {
        lock (_lock)
        {
            int index = Array.IndexOf(_links, null);
            link = index < 0 ? null : new EcmLink(this, address, (ushort)index, clients, metrics) { IsTakenOut = _takenOut.Contains(address.Target) };
            if (link is not null) _links[index] = link;
            return link is not null;
        }
    }

    /// <summary>Has a configured server get no new clients, until <see cref="PutBack"/>.</summary>
    /// <returns>The clients that it has.</returns>
    public int TakeOut(HostPort target)
    {
        lock (_lock)
        {
            _takenOut.Add(target);
            EcmLink[] own = [.. _links.OfType<EcmLink>().Where(link => link.Address.Target == target)];
            foreach (EcmLink link in own) link.IsTakenOut = true;
            return own.Sum(link => link.Clients);
        }
    }

    /// <summary>Has all servers get new clients again.</summary>
    public void PutBack()
    {
        lock (_lock)
        {
            _takenOut.Clear();
            foreach (EcmLink link in _links.OfType<EcmLink>()) link.IsTakenOut = false;
        }
    }

    /// <summary>Whether the server of a link is taken out.</summary>
    public bool IsTakenOut(int index) => _links[index] is { IsTakenOut: true };

    /// <summary>What the server of a client calls itself; null when the link that it was on is down.</summary>
    /// <inheritdoc cref="Find"/>
    public string? NameOf(int index, int owner) => Find(index, owner) is null ? null : _links[index]?.Server;

    /// <summary>Writes the links that have clients, or may, and what was counted. All of them are cut, and nobody uses them.</summary>
    public void Save(StateWriter writer)
    {
        EcmLink[] cut = [.. Links.Where(link => link.Current is not null)];
        writer.Write(cut.Length);
        foreach (EcmLink link in cut) link.Save(writer);
        writer.Write(_reconnects.Count);
        foreach ((HostPort target, (long resumed, long fresh)) in _reconnects)
        {
            writer.WriteText(target.Host);
            writer.Write((ushort)target.Port);
            writer.Write(resumed);
            writer.Write(fresh);
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <param name="reader">The state.</param>
    /// <param name="clients">The reactors that hold clients.</param>
    /// <param name="options">The settings of links, with rings as large as they were.</param>
    /// <param name="metrics">The role's counters.</param>
    /// <param name="linkLog">The log of links.</param>
    /// <returns>The links, for the caller to connect.</returns>
    /// <exception cref="StateException">It cannot be.</exception>
    public IReadOnlyList<EcmLink> Restore(
        StateReader reader, ReactorGroup<EcmClient> clients, LinkOptions options, RoleMetrics metrics, LinkLog linkLog)
    {
        lock (_lock)
        {
            for (int left = reader.ReadNumber(0, MaxLinks, "the number of links"); left > 0; left--)
            {
                (ushort index, TargetAddress address) = EcmLink.RestoreAddress(reader);
                reader.Check(index < MaxLinks && _links[index] is null, "a link's index");
                EcmLink link = _links[index] = new EcmLink(this, address, index, clients, metrics);
                link.Restore(reader, options, new LinkConnectionLog($"{address.EndPoint}", linkLog, limiter: null));
                EcmServer? server = Array.Find(_servers, server => server.Name == link.Server);
                Publish(link.Server!, [.. server?.Links ?? [], link]);
            }

            for (int left = reader.ReadNumber(0, 4096, "the number of targets"); left > 0; left--)
            {
                HostPort target = new(reader.ReadName("a target"), reader.Read<ushort>());
                _reconnects[target] = (reader.Read<long>(), reader.Read<long>());
            }

            return [.. _links.OfType<EcmLink>()];
        }
    }

    /// <summary>Forgets a link that is down and will not be connected again.</summary>
    public void Remove(EcmLink link)
    {
        lock (_lock)
        {
            _links[link.Index] = null;
            if (!_links.Any(other => other?.Address == link.Address)) _reported.Remove(link.Address);
        }
    }

    /// <summary>Records whether name servers list a link's address no more. If not, its server may need another link.</summary>
    public void SetLeft(EcmLink link, bool hasLeft)
    {
        lock (_lock)
        {
            link.HasLeft = hasLeft;
            if (hasLeft && link.Current is not null) Wake(link.Server!);
        }
    }

    /// <summary>A link has come up: its server is known now.</summary>
    /// <returns>False when that server has its links already; then this one stands by until one of them is lost, or its address has
    /// left.</returns>
    public bool TryJoin(EcmLink link, Link current)
    {
        lock (_lock)
        {
            string name = current.PeerName is { Length: > 0 } said and not NameOfEarlierModules ? said : $"{link.Address.EndPoint}";
            EcmServer? server = Array.Find(_servers, server => server.Name == name);
            if (server?.Links.Count(other => !other.HasLeft) >= linksEach)
            {
                link.StandBy(name);
                Report(link.Address, server);
                return false;
            }

            link.Begin(name, current);
            Publish(name, [.. server?.Links ?? [], link]);
            if (server is null && HasSeveral()) log.ServerUp(name, link.Address.ToString(), _servers.Length);
            return true;
        }
    }

    /// <summary>A link is down.</summary>
    /// <returns>Whether it had clients to lose: false for one that stood by.</returns>
    public bool TryLeave(EcmLink link, Link current)
    {
        lock (_lock)
        {
            if (link.Current != current) return false;
            string name = link.Server!;
            int clients = link.Clients;
            link.End();
            Publish(name, [.. Array.Find(_servers, server => server.Name == name)!.Links.Where(other => other != link)]);
            Wake(name);
            bool isOut = !_isStopping && !_servers.Any(server => server.Name == name);
            if (isOut && HasSeveral()) log.ServerDown(name, link.Address.ToString(), clients, _servers.Length);
            return true;
        }
    }

    /// <summary>A server has died, as another one says, which knows.</summary>
    /// <param name="name">What it called itself.</param>
    public void OnGone(string name)
    {
        log.ServerGone(name);
        foreach (EcmLink link in Links.Where(link => link.Server == name)) link.SetGone();
    }

    /// <summary>Counts that a link is up which has been up before.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="isResumed">Whether with its sessions.</param>
    public void CountReconnect(HostPort target, bool isResumed)
    {
        lock (_lock)
        {
            (long resumed, long fresh) = _reconnects.GetValueOrDefault(target);
            _reconnects[target] = isResumed ? (resumed + 1, fresh) : (resumed, fresh + 1);
        }
    }

    /// <summary>What is up of each target.</summary>
    /// <param name="targets">The targets.</param>
    /// <param name="logins">How many clients of a link wait to log in, and how many do.</param>
    public IReadOnlyList<ServerStatus> Status(IReadOnlyList<HostPort> targets, Func<int, (int Waiting, int UnderWay)> logins)
    {
        IReadOnlyList<EcmLink> links = Links;
        return [.. targets.Select(target =>
        {
            EcmLink[] own = [.. links.Where(link => link.Address.Target == target)];
            (long resumed, long fresh) = Reconnects(target);
            (int Waiting, int UnderWay)[] ofLinks = [.. own.Select(link => logins(link.Index))];
            return new ServerStatus(target.ToString(), own.Count(link => link.IsUp), own.Sum(link => (long)link.Clients), resumed, fresh)
            {
                LoginsWaiting = ofLinks.Sum(link => link.Waiting),
                LoginsUnderWay = ofLinks.Sum(link => link.UnderWay),
            };
        })];
    }

    /// <summary>A line for each target that gets no new clients.</summary>
    public IEnumerable<string> Outages(IReadOnlyList<HostPort> targets)
    {
        IReadOnlyList<EcmLink> links = Links;
        foreach (HostPort target in targets)
        {
            EcmLink[] own = [.. links.Where(link => link.Address.Target == target)];
            if (own.Any(link => link.Usable is { IsCut: false } || link.UntilNeeded is not null)) continue;
            Link? cut = own.Select(link => link.Current).FirstOrDefault(link => link is { IsCut: true });
            yield return cut is not null
                ? $"the link to {target} is cut since {DateTime.UtcNow - cut.CutFor:HH:mm:ss}, {cut.CutFor.TotalSeconds:0} s ago"
                : own.Any(link => link is { IsUp: true, IsTakenOut: true }) ? $"{target} is drained by an operator"
                : own.Any(link => link.IsUp) ? $"every link to {target} is draining"
                : $"no link to {target} is up";
        }
    }

    private (long Resumed, long Fresh) Reconnects(HostPort target)
    {
        lock (_lock) return _reconnects.GetValueOrDefault(target);
    }

    private EcmLink? Choose(bool isCut, out Link? current)
    {
        EcmServer[] servers = _servers;
        EcmLink? chosen = null;
        current = null;
        int fewest = int.MaxValue;
        uint first = Interlocked.Increment(ref _turn);
        for (uint i = 0; i < servers.Length; i++)
        {
            EcmServer server = servers[(first + i) % (uint)servers.Length];
            if (server.TryChoose(isCut, out EcmLink? link, out Link? up, out int clients) && clients < fewest)
                (chosen, current, fewest) = (link, up, clients);
        }

        return chosen;
    }

    private bool Any(Func<EcmLink, bool> condition)
    {
        foreach (EcmServer server in _servers)
        {
            foreach (EcmLink link in server.Links)
            {
                if (condition(link)) return true;
            }
        }

        return false;
    }

    private void Wake(string name)
    {
        foreach (EcmLink? link in _links) link?.Wake(name);
    }

    /// <summary>Whether there is more to say of a server than its links' lines say.</summary>
    private bool HasSeveral() => _links.OfType<EcmLink>().DistinctBy(link => link.Address).Skip(1).Any();

    private void Publish(string name, EcmLink[] links)
    {
        IEnumerable<EcmServer> others = _servers.Where(server => server.Name != name);
        _servers = links.Length == 0 ? [.. others] : [.. others, new EcmServer(name, links)];
    }

    /// <summary>
    /// Two addresses lead to one server: that is as it should be where they are those of one name, for IPv4 and IPv6, and else perhaps
    /// two servers that have one name.
    /// </summary>
    private void Report(TargetAddress address, EcmServer server)
    {
        TargetAddress first = server.Links[0].Address;
        if (first == address || !_reported.Add(address)) return;
        bool isExpected = first.Target == address.Target && first.EndPoint.AddressFamily != address.EndPoint.AddressFamily;
        if (isExpected) log.AlsoLeadsTo(address.ToString(), server.Name, first.ToString());
        else log.SameServer(address.ToString(), server.Name, first.ToString());
    }
}
