using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Values;

namespace Megaphone.Preflight;

/// <summary>Checks whether the machine can do what is configured.</summary>
/// <remarks>
/// A limit that the operator set and that cannot be reached is a failure. A default that cannot be reached is a
/// warning: the service runs, and refuses what is too much.
/// </remarks>
internal sealed class MachineCheck(Settings settings, MachineFacts machine)
{
    /// <summary>Kernel memory of an idle TCP connection: measured, without buffers.</summary>
    private const int KernelBytesPerConnection = 3994;

    /// <summary>The most memory of an idle plain client in this process.</summary>
    private const int OwnBytesPerPlainClient = 64;

    /// <summary>Memory of an idle session of the hub in this process: measured, rounded up.</summary>
    private const int OwnBytesPerSession = 210;

    /// <summary>
    /// Descriptors that the process opens at its start: runtime, log, listeners, reactors. Those it needs later are reserved.
    /// </summary>
    private const int OtherDescriptors = 384;

    /// <summary>One in this many connections is assumed to have data in flight at any moment, a page of it.</summary>
    private const int ConnectionsPerBusyOne = 10;

    /// <summary>Below this a certificate should have been renewed.</summary>
    private const int RenewalDays = 14;

    /// <summary>Memory of an idle client with TLS in this process: measured, rounded up.</summary>
    private const int OwnBytesPerTlsClient = 260;

    /// <summary>The same where its records are OpenSSL's.</summary>
    private const int OwnBytesPerOpenSslClient = 16_000;

    /// <summary>What a client of a listener for the web takes beyond that.</summary>
    private const int MoreForWebClient = 60;

    /// <summary>The ports from 1024 on.</summary>
    private const int MostLocalPorts = 64_512;

    private readonly List<Finding> _findings = [];

    /// <summary>The most client connections.</summary>
    private long Clients => settings.Ecm?.MaxClients ?? 0;

    /// <summary>The memory of each: if any listener uses TLS, or is for the web, all clients may be its.</summary>
    private long OwnBytesPerClient => (settings.Ecm?.Clients.Any(client => client.Web is not null) ?? false ? MoreForWebClient : 0)
        + settings.Ecm?.Tls?.Server.Records switch
        {
            null => OwnBytesPerPlainClient,
            RecordLayer.Own => OwnBytesPerTlsClient,
            _ => OwnBytesPerOpenSslClient,
        };

    /// <summary>The most sessions in the hub.</summary>
    private long Sessions => settings.Hub?.MaxSessions ?? 0;

    /// <summary>The most backend connections of the hub.</summary>
    private long BackendConnections => settings.Hub is { Backends.Count: > 0 } ? Sessions : 0;

    /// <summary>The verdict when the machine cannot hold all connections.</summary>
    private Verdict Shortfall =>
        (settings.Ecm is not null && settings.MaxClientsGiven) || (BackendConnections > 0 && settings.MaxSessionsGiven)
            ? Verdict.Fail
            : Verdict.Warn;

    /// <summary>Runs all checks.</summary>
    public static IReadOnlyList<Finding> Run(Settings settings, MachineFacts machine)
    {
        MachineCheck check = new(settings, machine);
        check.Listeners();
        check.Browsers();
        check.Targets();
        check.Certificates();
        check.LinkTls();
        check.OpenFiles();
        check.LocalPorts();
        check.Backlog();
        check.Memory();
        return check._findings;
    }

    private void Listeners()
    {
        foreach ((string key, IPEndPoint address) in settings.Listeners)
        {
            if (machine.Bindable[address] is { } obstacle)
                Add(Verdict.Fail, key, $"{address}: {obstacle.Reason}", obstacle.Fix);
            else
                Add(Verdict.Ok, key, $"{address} can be bound");
        }
    }

    private void Browsers()
    {
        for (int i = 0; i < settings.Ecm?.Clients.Count; i++)
        {
            if (settings.Ecm.Clients[i].Web is not { } web) continue;
            string others = web.HttpTo is { } to
                ? $"relayed to {to}, each with two descriptors and two of MaxClients' places"
                : "refused, as there is no HttpTo";
            Add(Verdict.Ok, $"Ecm:Clients:{i}:Web", $"WebSockets at {web.Path}; all other requests are {others}");
        }

        if (settings.Ecm is null && settings.Hub is not null)
            Add(Verdict.Ok, "Hub", "takes links, and knows no XMPP: browsers connect to an ECM, with Ecm:Clients:N:Framing web");
    }

    private void Certificates()
    {
        foreach (CertificateProblem problem in machine.CertificateProblems) Add(Verdict.Fail, "Ecm:Tls", problem.What, problem.Fix);

        foreach (CertificateChain chain in machine.Certificates)
        {
            int days = (int)(chain.NotAfter - machine.Now).TotalDays;
            AddDays("Ecm:Tls", $"{chain.Files.Certificate} covers {string.Join(", ", chain.Names)} for {days} more days", days);
        }
    }

    private void LinkTls()
    {
        foreach (LinkTlsFacts facts in machine.LinkTls)
        {
            foreach (CertificateProblem problem in facts.Problems) Add(Verdict.Fail, facts.Section, problem.What, problem.Fix);
            foreach ((string file, DateTimeOffset notAfter) in facts.Validity)
            {
                int days = (int)(notAfter - machine.Now).TotalDays;
                AddDays(facts.Section, $"{file} is valid for {days} more days", days);
            }
        }
    }

    private void AddDays(string topic, string what, int days)
    {
        if (days < RenewalDays) Add(Verdict.Warn, topic, what, "renew it; changed files are reloaded at once");
        else Add(Verdict.Ok, topic, what);
    }

    private void Targets()
    {
        foreach ((string key, HostPort to) in settings.Targets)
        {
            if (machine.Unresolved.TryGetValue(to.Host, out string? reason))
                Add(
                    Verdict.Fail,
                    key,
                    $"the name {to.Host} does not resolve: {reason}",
                    $"`getent hosts {to.Host}` must print an address; or configure an address instead");
            else if (key.StartsWith("Hub:Backend", StringComparison.Ordinal) && BackendIsOwnClientListener(to))
                Add(
                    Verdict.Fail,
                    key,
                    $"{to} is this ECM's own client listener: each session would open the next",
                    "write the XMPP server's own address");
            else
                Add(Verdict.Ok, key, to.Address is null ? $"the name {to.Host} resolves" : $"{to} needs no name");
        }
    }

    private bool BackendIsOwnClientListener(HostPort backend) =>
        settings.Ecm is { } ecm && backend.Address is { } address && ecm.Clients.Any(client =>
            client.Listen.Port == backend.Port
            && (client.Listen.Address.Equals(address)
                || (IPAddress.IsLoopback(address) && client.Listen.Address.Equals(AnyOf(address.AddressFamily)))));

    private static IPAddress AnyOf(AddressFamily family) =>
        family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any;

    private void OpenFiles()
    {
        long handshakes = settings.Ecm?.Tls?.MaxHandshakes ?? 0;
        long needed = Clients + handshakes + BackendConnections + settings.ReservedDescriptors + OtherDescriptors;

        if (machine.OpenFilesCeiling is { } ceiling && ceiling < needed)
            Add(
                Shortfall,
                "fs.nr_open",
                $"{ceiling}, and {needed} open files are needed",
                $"sysctl -w fs.nr_open={needed}");
        Compare(
            "open files",
            machine.OpenFiles,
            "the limit of this process is",
            needed,
            $"LimitNOFILE={needed} in megaphone.service, or `ulimit -Hn {needed}` before the start",
            $"; clients get all but {Reserved(machine.OpenFiles)}");
        Compare(
            "fs.file-max",
            machine.OpenFilesOfMachine,
            "the machine's limit is",
            needed,
            $"sysctl -w fs.file-max={needed}");
    }

    private ulong Reserved(long? limit) => DescriptorReserve.Within((ulong)(limit ?? long.MaxValue), settings.ReservedDescriptors);

    private void Compare(string topic, long? limit, string subject, long needed, string fix, string also = "")
    {
        if (limit is null) return;
        string what = $"{subject} {limit}, and {needed} are needed{also}";
        if (limit < needed) Add(Shortfall, topic, what, fix);
        else Add(Verdict.Ok, topic, what);
    }

    private void LocalPorts()
    {
        if (BackendConnections == 0 || machine.LocalPorts is not { } range) return;

        int ports = range.Last - range.First + 1;
        string what = $"{range.First} to {range.Last}: {ports} connections to one backend address, "
            + $"and Hub:MaxSessions is {Sessions}";
        if (ports >= Sessions)
        {
            Add(Verdict.Ok, "local ports", what);
            return;
        }

        List<string> fix = [];
        if (ports < MostLocalPorts) fix.Add("sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"");
        if (Sessions > MostLocalPorts)
            fix.Add($"\"MaxSessions\": {MostLocalPorts} (for more, another hub with a backend address of its own)");
        Add(settings.MaxSessionsGiven ? Verdict.Fail : Verdict.Warn, "local ports", what, string.Join(", and ", fix));
    }

    private void Backlog()
    {
        if (settings.Ecm is not { } ecm) return;
        BacklogAgainst("net.core.somaxconn", machine.LongestBacklog, ecm.Backlog);
        BacklogAgainst("net.ipv4.tcp_max_syn_backlog", machine.LongestSynBacklog, ecm.Backlog);
    }

    private void BacklogAgainst(string sysctl, long? limit, int backlog)
    {
        if (limit is null) return;
        if (limit < backlog)
            Add(
                Verdict.Warn,
                sysctl,
                $"{limit}, below Ecm:Backlog, which is {backlog}: in a burst of connections clients wait or are refused",
                $"sysctl -w {sysctl}={backlog}");
        else
            Add(Verdict.Ok, sysctl, $"{limit}, and Ecm:Backlog is {backlog}");
    }

    /// <summary>Bytes of the links' rings with their marks, the buffers for slow clients and backends, and incomplete stanzas.</summary>
    private long LinksAndBuffers()
    {
        long bytes = 0;
        if (settings.Ecm is { } ecm) bytes += ecm.Connect.To.Count * ecm.Connect.Count * RingMemory(ecm.Link) + ecm.Buffers.TotalBytes;
        if (settings.Ecm is { Link.Framing: LinkFraming.Stanza } stanzas) bytes += stanzas.IncompleteBytes;

        // The number of ECMs is not known here: one link is assumed.
        if (settings.Hub is { } hub) bytes += RingMemory(hub.Link) + hub.Buffers.TotalBytes;
        return bytes;
    }

    private static long RingMemory(LinkOptions link) => link.RingBytes / 4L * 5;

    private void Memory()
    {
        long connections = Clients + BackendConnections;
        long kernel = connections * KernelBytesPerConnection;
        long own = Clients * OwnBytesPerClient + Sessions * OwnBytesPerSession + LinksAndBuffers();

        if (machine.MemoryAvailable is { } available)
        {
            string what = $"{Size(kernel)} in the kernel and {Size(own)} here for all that may connect, full buffers included, "
                + $"and {Size(available)} are available";
            if (kernel + own > available)
            {
                int connectionsEach = Clients > 0 && BackendConnections > 0 ? 2 : 1;
                long each = KernelBytesPerConnection * connectionsEach + OwnBytesPerClient + OwnBytesPerSession;
                long most = Math.Max((available - LinksAndBuffers()) / each, 1);
                string bound = Clients > 0 ? $"\"MaxClients\": {most}" : $"\"MaxSessions\": {most}";
                Add(Shortfall, "memory", what, $"more memory, or {bound}");
            }
            else
            {
                Add(Verdict.Ok, "memory", what);
            }
        }

        if (machine.TcpMemory is { } tcpMemory)
        {
            long buffers = connections / ConnectionsPerBusyOne * Environment.SystemPageSize;
            string what = $"{Size(tcpMemory)} for TCP buffers, "
                + $"and one connection in ten with data in flight takes {Size(buffers)}";
            if (tcpMemory < buffers)
                Add(Verdict.Warn, "net.ipv4.tcp_mem", what, TcpMemoryLine(buffers));
            else
                Add(Verdict.Ok, "net.ipv4.tcp_mem", what);
        }
    }

    private static string TcpMemoryLine(long bytes)
    {
        // The kernel's own proportions: pressure begins at two thirds and ends at half.
        long pages = (bytes + Environment.SystemPageSize - 1) / Environment.SystemPageSize;
        return $"sysctl -w net.ipv4.tcp_mem=\"{pages / 2} {pages * 2 / 3} {pages}\"";
    }

    private static string Size(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB");

    private void Add(Verdict verdict, string topic, string what, string? fix = null) =>
        _findings.Add(new Finding(verdict, topic, what, fix));
}
