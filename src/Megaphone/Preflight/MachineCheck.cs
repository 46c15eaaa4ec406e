using System.Globalization;
using System.Net;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Tls;

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

    /// <summary>Memory of an idle client with TLS in this process: measured, rounded up.</summary>
    private const int OwnBytesPerTlsClient = 260;

    /// <summary>The same where its records are OpenSSL's.</summary>
    private const int OwnBytesPerOpenSslClient = 16_000;

    /// <summary>What a client of a listener for the web takes beyond that.</summary>
    private const int MoreForWebClient = 60;

    /// <summary>The most that the kernel can give connections: all ports that need no privilege.</summary>
    private const int FirstLocalPort = 1024, LastLocalPort = IPEndPoint.MaxPort;

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
        check.OpenFiles();
        check.LocalPorts();
        check.Backlog();
        check.Memory();
        return check._findings;
    }

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
        if (machine.Unit is { OpenFiles: { } given } unit)
        {
            Compare(
                "open files",
                given,
                $"the service gets, by {unit.Path},",
                needed,
                $"LimitNOFILE={needed} under [Service] with `systemctl edit megaphone`",
                $"; clients get all but {Reserved(given)}");
            if (machine.OpenFiles < needed)
                Add(Verdict.Ok, "open files", $"what is started from this shell, and not by systemd, gets {machine.OpenFiles}");
        }
        else
        {
            Compare(
                "open files",
                machine.OpenFiles,
                "the limit of this process is",
                needed,
                $"LimitNOFILE={needed} in megaphone.service, or `ulimit -Hn {needed}` before the start",
                $"; clients get all but {Reserved(machine.OpenFiles)}");
        }

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

        int ports = range.Last - range.First + 1 - machine.ReservedPorts.CountWithin(range.First, range.Last);
        string what = $"{range.First} to {range.Last}: {ports} connections to one backend address, "
            + $"and Hub:MaxSessions is {Sessions}";
        if (ports >= Sessions)
        {
            Add(Verdict.Ok, "local ports", what);
            return;
        }

        // Among all ports are those of our listeners: no connection must have them when the service starts.
        ReservedPorts reserved = machine.ReservedPorts.With(settings.ListeningPorts.Where(port => port >= FirstLocalPort));
        int most = LastLocalPort - FirstLocalPort + 1 - reserved.CountWithin(FirstLocalPort, LastLocalPort);
        List<string> fix = [];
        if (ports < most) fix.Add($"sysctl -w net.ipv4.ip_local_port_range=\"{FirstLocalPort} {LastLocalPort}\" {reserved}");
        if (Sessions > most)
            fix.Add($"\"MaxSessions\": {most} (for more, another hub with a backend address of its own)");
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
