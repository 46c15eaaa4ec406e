using Megaphone.Ecm;
using Megaphone.Metrics;
using Megaphone.Operator;
using Megaphone.Reactor;

namespace Megaphone.Admin;

/// <summary>Says how the process is, from what is counted anyway. Thread-safe.</summary>
/// <param name="roles">The counters of the roles that run.</param>
/// <param name="reloads">What is counted of reloads.</param>
/// <param name="state">The state in words, and the reasons for it.</param>
internal sealed class StatusSource(
    IReadOnlyList<RoleMetrics> roles, ReloadCounters reloads, Func<(string State, IEnumerable<string> Reasons)> state)
{
    /// <summary>With fewer clients what the process needs without any would be most of it.</summary>
    private const int EnoughToDivide = 10_000;

    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;

    /// <summary>How it is now.</summary>
    public StatusReport Read()
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        (string inWords, IEnumerable<string> reasons) = state();
        return new StatusReport
        {
            Version = ProductVersion.Current,
            Process = Environment.ProcessId,
            Now = now.ToUnixTimeMilliseconds(),
            Started = _started.ToUnixTimeMilliseconds(),
            State = inWords,
            Reasons = [.. reasons],
            Resources = ReadResources(),
            Roles = [.. roles.Select(role => Read(role, now))],
            Reloads = new ReloadStatus(
                reloads.Count(ReloadResult.Done), reloads.Count(ReloadResult.Refused), reloads.Count(ReloadResult.Failed),
                reloads.Handover.TotalSeconds,
                [.. reloads.Last.Select(one => new PastReload(one.At.ToUnixTimeMilliseconds(), Label.Of(one.Result)))]),
        };
    }

    private ResourceStatus ReadResources()
    {
        long memory = Environment.WorkingSet, connected = roles.Sum(role => role.Connected);
        return new ResourceStatus(
            memory, connected < EnoughToDivide ? null : memory / connected, Environment.CpuUsage.TotalTime.TotalSeconds, OpenDescriptors.Count(),
            (long)Math.Min(long.MaxValue, OpenFileLimit.Soft()));
    }

    private static RoleStatus Read(RoleMetrics role, DateTimeOffset now)
    {
        IReadOnlyList<ListenerStatus> listeners = role.Listeners();
        (long webSockets, long relayed) = role.WebClients();
        return Read(role, now, listeners) with
        {
            WebSockets = HasWeb(listeners) ? webSockets : null,
            Relayed = HasWeb(listeners) ? relayed : null,
        };
    }

    private static bool HasWeb(IReadOnlyList<ListenerStatus> listeners) => listeners.Any(listener => listener.Framing == Label.Of(ClientFraming.Web));

    private static RoleStatus Read(RoleMetrics role, DateTimeOffset now, IReadOnlyList<ListenerStatus> listeners) => new()
    {
        Role = Label.Of(role.Role),
        Connected = role.Connected,
        LoggedIn = role.Role == Role.Ecm ? role.LoggedIn : null,
        Handshaking = role.Role == Role.Ecm ? role.Handshaking : null,
        Opened = role.SessionsOpened,
        PacketsIn = role.PacketsIn,
        PacketsOut = role.PacketsOut,
        BytesIn = role.BytesIn,
        BytesOut = role.BytesOut,
        Buffered = role.BufferedBytes,
        Listeners = [.. listeners.Select(one => new ListenerReport(one.Name, one.Framing, one.Tls, one.Clients))],
        Servers = [.. role.Servers().Select(one => new ServerReport(one.Name, one.Up, one.Sessions, one.LoginsUnderWay, one.LoginsWaiting))],
        Links = [.. role.LinkList().Select(Read)],
        Limited = Counts<Limit>(role.Limited),
        Refused = Counts<RefusalReason>(role.Refused),
        Closed = Counts<CloseReason>(role.SessionsClosed),
        Certificates = [.. Certificates(role.Certificates, "clients", now), .. Certificates(role.LinkCertificates, "links", now)],
    };

    private static LinkReport Read(LinkStatus link) => new(
        link.Server, link.Name, link.State, link.Sessions, (long?)link.Age?.TotalSeconds, link.RoundTrip?.TotalSeconds, link.RingBytes,
        link.RingCapacity);

    private static IReadOnlyList<CountReport> Counts<T>(Func<T, long> count)
        where T : struct, Enum =>
        [.. Enum.GetValues<T>().Where(value => count(value) > 0).Select(value => new CountReport(Label.Of(value), count(value)))];

    private static IEnumerable<CertificateReport> Certificates(
        IReadOnlyList<(string File, DateTimeOffset NotAfter)> certificates, string purpose, DateTimeOffset now) =>
        certificates.Select(one => new CertificateReport(Path.GetFileName(one.File), purpose, (int)Math.Floor((one.NotAfter - now).TotalDays)));
}
