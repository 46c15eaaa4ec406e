using System.Collections.Concurrent;
using Megaphone.Xmpp;

namespace Megaphone.Metrics;

/// <summary>Everything that one role counts. The admin endpoint publishes it.</summary>
/// <remarks>
/// Thread-safe and free of allocation. Hot paths add once per batch, not once per packet, so that an interlocked add
/// here costs nothing that can be measured.
/// </remarks>
internal sealed class RoleMetrics(Role role)
{
    /// <summary>The algorithms that protect records of TLS, whatever its version.</summary>
    public const int TlsAlgorithms = 3;

    private readonly ConcurrentDictionary<object, Func<long>> _unacknowledged = [];
    private RoleCounters _counters;

    /// <summary>A copy of all numbers, to go on with in the process's next image.</summary>
    public RoleCounters Copy() => _counters;

    /// <summary>Goes on from numbers that were handed over: what only ever grows stays, and what there is now is counted anew as it is
    /// taken over, but for the connections, all of which are.</summary>
    /// <param name="counters">The numbers.</param>
    /// <param name="linksCut">The links that are taken over, all of which are cut.</param>
    public void GoOnFrom(in RoleCounters counters, int linksCut)
    {
        _counters = counters;
        _counters.LinksCut = linksCut;
        _counters.Links = _counters.BufferedBytes = _counters.BufferMemory = _counters.IncompleteBytes = 0;
        _counters.Handshakes[(int)HandshakeEnd.Dropped] += _counters.Handshaking;
        _counters.Handshaking = 0;
        _counters.Tls = default;
    }

    /// <summary>The role that is counted.</summary>
    public Role Role { get; } = role;

    /// <summary>Links that are up now.</summary>
    public long Links => Volatile.Read(ref _counters.Links);

    /// <summary>Links that are cut now: their sessions wait for another connection.</summary>
    public long LinksCut => Volatile.Read(ref _counters.LinksCut);

    /// <summary>Times that a link was cut.</summary>
    public long LinkCuts => Volatile.Read(ref _counters.LinkCuts);

    /// <summary>Times that a link that was cut came back.</summary>
    public long LinksResumed => Volatile.Read(ref _counters.LinksResumed);

    /// <summary>How long links were cut, all of them together, up to where each came back or was lost.</summary>
    public TimeSpan LinkCutTime => TimeSpan.FromMilliseconds(Volatile.Read(ref _counters.LinkCutMilliseconds));

    /// <summary>Bytes that were sent over links and are kept until they are acknowledged.</summary>
    public long UnacknowledgedBytes => _unacknowledged.Values.Sum(ofLink => ofLink());

    /// <summary>Clients connected now (ECM), or sessions open now (hub).</summary>
    public long Connected => Volatile.Read(ref _counters.Connected);

    /// <summary>Sessions opened since the start.</summary>
    public long SessionsOpened => Volatile.Read(ref _counters.SessionsOpened);

    /// <summary>Packets that arrived over links.</summary>
    public long PacketsIn => Volatile.Read(ref _counters.PacketsIn);

    /// <summary>Bytes that arrived over links, headers included.</summary>
    public long BytesIn => Volatile.Read(ref _counters.BytesIn);

    /// <summary>Packets handed to the kernel for links.</summary>
    public long PacketsOut => Volatile.Read(ref _counters.PacketsOut);

    /// <summary>Bytes handed to the kernel for links, headers included.</summary>
    public long BytesOut => Volatile.Read(ref _counters.BytesOut);

    /// <summary>Links closed because what they carried broke the protocol.</summary>
    public long ProtocolErrors => Volatile.Read(ref _counters.ProtocolErrors);

    /// <summary>Times that a session was paused because its socket was slow.</summary>
    public long Pauses => Volatile.Read(ref _counters.Pauses);

    /// <summary>Bytes that wait in this process for slow sockets now.</summary>
    public long BufferedBytes => Volatile.Read(ref _counters.BufferedBytes);

    /// <summary>Memory in use for stanzas that have arrived in part, in bytes.</summary>
    public long IncompleteBytes => Volatile.Read(ref _counters.IncompleteBytes);

    /// <summary>Control packets or members of them that were not understood and, as section 4 says, ignored.</summary>
    public long ControlIgnored => Volatile.Read(ref _counters.ControlIgnored);

    /// <summary>Sessions that ended for this reason since the start.</summary>
    public long SessionsClosed(CloseReason reason) => Volatile.Read(ref _counters.Closed[(int)reason]);

    /// <summary>Packets dropped for this reason since the start.</summary>
    public long Dropped(DropReason reason) => Volatile.Read(ref _counters.Dropped[(int)reason]);

    /// <summary>Clients or links refused for this reason since the start.</summary>
    public long Refused(RefusalReason reason) => Volatile.Read(ref _counters.Refused[(int)reason]);

    /// <summary>Clients that this limit kept out or ended since the start.</summary>
    public long Limited(Limit limit) => Volatile.Read(ref _counters.Limited[(int)limit]);

    /// <summary>Clients' streams that were refused with this error since the start.</summary>
    public long StreamErrors(StreamCondition condition) => Volatile.Read(ref _counters.StreamErrors[(int)condition]);

    /// <summary>Clients who are logged in now.</summary>
    public long LoggedIn => Volatile.Read(ref _counters.LoggedIn);

    /// <summary>How long clients took to log in, from when their PROXY header and their TLS handshake were done.</summary>
    public ref TimeHistogram Logins => ref _counters.Logins;

    /// <summary>How long clients' TLS handshakes took, STARTTLS not included.</summary>
    public ref TimeHistogram HandshakeTimes => ref _counters.HandshakeTimes;

    /// <summary>How long the other ends of links took to answer a ping.</summary>
    public ref TimeHistogram RoundTrips => ref _counters.RoundTrips;

    /// <summary>Connections now whose TLS is of this kind.</summary>
    /// <param name="isTls13">TLS 1.3; else it is TLS 1.2.</param>
    /// <param name="algorithm">Which of the <see cref="TlsAlgorithms"/>.</param>
    public long Tls(bool isTls13, int algorithm) => Volatile.Read(ref _counters.Tls[(isTls13 ? TlsAlgorithms : 0) + algorithm]);

    /// <summary>Clients whose PROXY header is awaited, or who are in STARTTLS or a TLS handshake now.</summary>
    public long Handshaking => Volatile.Read(ref _counters.Handshaking);

    /// <summary>Handshakes that ended this way since the start.</summary>
    public long Handshakes(HandshakeEnd end) => Volatile.Read(ref _counters.Handshakes[(int)end]);

    /// <summary>The certificates in use: the file, and until when it is valid.</summary>
    public IReadOnlyList<(string File, DateTimeOffset NotAfter)> Certificates { get; set; } = [];

    /// <summary>Times that new certificates were loaded (true), or could not be (false).</summary>
    public long CertificateReloads(bool succeeded) =>
        Volatile.Read(ref succeeded ? ref _counters.CertificateReloads : ref _counters.CertificateReloadFailures);

    /// <summary>The certificates in use for the TLS of links: the file, and until when it is valid.</summary>
    public IReadOnlyList<(string File, DateTimeOffset NotAfter)> LinkCertificates { get; set; } = [];

    /// <summary>Times that new files were loaded for the TLS of links (true), or could not be (false).</summary>
    public long LinkCertificateReloads(bool succeeded) =>
        Volatile.Read(ref succeeded ? ref _counters.LinkCertificateReloads : ref _counters.LinkCertificateReloadFailures);

    /// <summary>Tells how each configured server (ECM) or backend (hub) is. Replaced when the role starts.</summary>
    public Func<IReadOnlyList<ServerStatus>> Servers { get; set; } = () => [];

    /// <summary>Tells how many clients use a WebSocket now, and how many are relayed to a server for HTTP (ECM).</summary>
    public Func<(long WebSockets, long Relays)> WebClients { get; set; } = () => (0, 0);

    /// <summary>Tells how each link is. Replaced when the role starts.</summary>
    public Func<IReadOnlyList<LinkStatus>> LinkList { get; set; } = () => [];

    /// <summary>Tells how each listener for clients is. Replaced when the role starts.</summary>
    public Func<IReadOnlyList<ListenerStatus>> Listeners { get; set; } = () => [];

    /// <summary>The bounds that are configured, by name, in the units of their keys: bytes, or seconds. Replaced when the role starts.</summary>
    public IReadOnlyList<(string Limit, double Value)> Limits { get; set; } = [];

    /// <summary>A link came up.</summary>
    public void LinkUp() => Interlocked.Increment(ref _counters.Links);

    /// <summary>A link that was up is lost or closed.</summary>
    public void LinkDown() => Interlocked.Decrement(ref _counters.Links);

    /// <summary>A link was cut.</summary>
    public void AddLinkCut()
    {
        Interlocked.Increment(ref _counters.LinksCut);
        Interlocked.Increment(ref _counters.LinkCuts);
    }

    /// <summary>A link that was cut has come back, or is lost.</summary>
    public void RemoveLinkCut(TimeSpan cutFor, bool resumed)
    {
        Interlocked.Decrement(ref _counters.LinksCut);
        Interlocked.Add(ref _counters.LinkCutMilliseconds, (long)cutFor.TotalMilliseconds);
        if (resumed) Interlocked.Increment(ref _counters.LinksResumed);
    }

    /// <summary>Adds a link to <see cref="UnacknowledgedBytes"/>.</summary>
    public void TrackUnacknowledged(object link, Func<long> bytes) => _unacknowledged[link] = bytes;

    /// <summary>Takes a link out of <see cref="UnacknowledgedBytes"/>.</summary>
    public void UntrackUnacknowledged(object link) => _unacknowledged.TryRemove(link, out _);

    /// <summary>A client connected (ECM) or a session was opened (hub): adds to <see cref="Connected"/>.</summary>
    public void AddConnected() => Interlocked.Increment(ref _counters.Connected);

    /// <summary>A client disconnected, or a session ended: takes from <see cref="Connected"/>.</summary>
    public void RemoveConnected() => Interlocked.Decrement(ref _counters.Connected);

    /// <summary>A session was opened.</summary>
    public void AddSessionOpened() => Interlocked.Increment(ref _counters.SessionsOpened);

    /// <summary>A session ended.</summary>
    public void AddSessionClosed(CloseReason reason) => Interlocked.Increment(ref _counters.Closed[(int)reason]);

    /// <summary>A batch of packets arrived.</summary>
    public void AddIn(long packets, long bytes)
    {
        Interlocked.Add(ref _counters.PacketsIn, packets);
        Interlocked.Add(ref _counters.BytesIn, bytes);
    }

    /// <summary>A batch of packets was handed to the kernel.</summary>
    public void AddOut(long packets, long bytes)
    {
        Interlocked.Add(ref _counters.PacketsOut, packets);
        Interlocked.Add(ref _counters.BytesOut, bytes);
    }

    /// <summary>Packets were dropped.</summary>
    public void AddDropped(DropReason reason, long packets = 1) => Interlocked.Add(ref _counters.Dropped[(int)reason], packets);

    /// <summary>A client or link was refused.</summary>
    public void AddRefused(RefusalReason reason) => Interlocked.Increment(ref _counters.Refused[(int)reason]);

    /// <summary>A limit kept a client out, or ended it.</summary>
    public void AddLimited(Limit limit) => Interlocked.Increment(ref _counters.Limited[(int)limit]);

    /// <summary>A client's stream was refused.</summary>
    public void AddStreamError(StreamCondition condition) => Interlocked.Increment(ref _counters.StreamErrors[(int)condition]);

    /// <summary>Memory was allocated (positive) or freed (negative) for stanzas that have arrived in part.</summary>
    public void AddIncomplete(int bytes) => Interlocked.Add(ref _counters.IncompleteBytes, bytes);

    /// <summary>A client has logged in: adds to <see cref="LoggedIn"/>.</summary>
    public void AddLoggedIn() => Interlocked.Increment(ref _counters.LoggedIn);

    /// <summary>A client who was logged in has gone: takes from <see cref="LoggedIn"/>.</summary>
    public void RemoveLoggedIn() => Interlocked.Decrement(ref _counters.LoggedIn);

    /// <summary>There are more (positive) or fewer (negative) connections whose TLS is of this kind.</summary>
    /// <inheritdoc cref="Tls"/>
    public void AddTls(bool isTls13, int algorithm, int connections) =>
        Interlocked.Add(ref _counters.Tls[(isTls13 ? TlsAlgorithms : 0) + algorithm], connections);

    /// <summary>More (positive) or fewer (negative) clients are on their way to a reactor: see <see cref="Handshaking"/>.</summary>
    public void AddHandshaking(int clients) => Interlocked.Add(ref _counters.Handshaking, clients);

    /// <summary>A client's handshake ended.</summary>
    public void AddHandshake(HandshakeEnd end) => Interlocked.Increment(ref _counters.Handshakes[(int)end]);

    /// <summary>New certificates were loaded, or could not be.</summary>
    public void AddCertificateReload(bool succeeded) =>
        Interlocked.Increment(ref succeeded ? ref _counters.CertificateReloads : ref _counters.CertificateReloadFailures);

    /// <summary>New files were loaded for the TLS of links, or could not be.</summary>
    public void AddLinkCertificateReload(bool succeeded) =>
        Interlocked.Increment(ref succeeded ? ref _counters.LinkCertificateReloads : ref _counters.LinkCertificateReloadFailures);

    /// <summary>A link broke the protocol.</summary>
    public void AddProtocolError() => Interlocked.Increment(ref _counters.ProtocolErrors);

    /// <summary>A session was paused.</summary>
    public void AddPause() => Interlocked.Increment(ref _counters.Pauses);

    /// <summary>Control packets or members were ignored.</summary>
    public void AddControlIgnored(long count) => Interlocked.Add(ref _counters.ControlIgnored, count);

    /// <summary>More (positive) or fewer (negative) bytes wait for slow sockets.</summary>
    public void AddBuffered(long bytes) => Interlocked.Add(ref _counters.BufferedBytes, bytes);

    /// <summary>Memory was allocated (positive) or freed (negative) for what waits: more than the bytes themselves.</summary>
    /// <returns>The memory that is allocated now, in bytes.</returns>
    public long AddBufferMemory(long bytes) => Interlocked.Add(ref _counters.BufferMemory, bytes);

    /// <summary>The memory that is allocated now for what waits, in bytes.</summary>
    public long BufferMemory => Volatile.Read(ref _counters.BufferMemory);
}
