using System.Globalization;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Preflight;

/// <summary>Reads the machine's facts that matter for a configuration.</summary>
internal static class MachineFactsReader
{
    /// <summary>Reads /proc, the unit and the certificates, and binds and closes the configured addresses.</summary>
    public static MachineFacts Read(Settings settings)
    {
        (IReadOnlyList<CertificateChain> certificates, IReadOnlyList<CertificateProblem> problems) = ReadCertificates(settings.Ecm?.Tls?.Server);
        long[]? ports = Numbers("/proc/sys/net/ipv4/ip_local_port_range");
        return new MachineFacts
        {
            OpenFiles = OpenFiles(),
            OpenFilesCeiling = Numbers("/proc/sys/fs/nr_open")?[0],
            OpenFilesOfMachine = Numbers("/proc/sys/fs/file-max")?[0],
            LocalPorts = ports is null ? null : ((int)ports[0], (int)ports[1]),
            ReservedPorts = ReservedPorts.Read(),
            LongestBacklog = Numbers("/proc/sys/net/core/somaxconn")?[0],
            LongestSynBacklog = Numbers("/proc/sys/net/ipv4/tcp_max_syn_backlog")?[0],
            MemoryAvailable = MemoryAvailable(),
            TcpMemory = Numbers("/proc/sys/net/ipv4/tcp_mem")?[2] * Environment.SystemPageSize,
            Bindable = settings.Listeners.Select(listener => listener.Address).Distinct()
                .ToDictionary(address => address, BindProbe.Try),
            Certificates = certificates,
            CertificateProblems = problems,
            LinkTls = [.. new[] { settings.Ecm?.Connect.Tls, settings.Hub?.Tls }.OfType<LinkTlsOptions>().Select(ReadLinkTls)],
            Unit = UnitFacts.Read("/") is { Configuration: { } file } unit && file == settings.File ? unit : null,
        };
    }

    private static (IReadOnlyList<CertificateChain> Certificates, IReadOnlyList<CertificateProblem> Problems) ReadCertificates(TlsServerOptions? tls)
    {
        try
        {
            return (tls is null ? [] : new TlsServer(tls).Certificates, []);
        }
        catch (CertificateException error)
        {
            return ([], error.Problems);
        }
    }

    private static LinkTlsFacts ReadLinkTls(LinkTlsOptions tls)
    {
        try
        {
            return new LinkTlsFacts(tls, LinkCredentials.Load(tls, DateTimeOffset.UtcNow).Validity, []);
        }
        catch (CertificateException error)
        {
            return new LinkTlsFacts(tls, [], error.Problems);
        }
    }

    private static long? OpenFiles()
    {
        try
        {
            // RLIM_INFINITY has all bits set.
            return (long)Math.Min(OpenFileLimit.Read().Hard, long.MaxValue);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static long[]? Numbers(string path)
    {
        try
        {
            return [.. File.ReadAllText(path).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
                .Select(number => long.Parse(number, CultureInfo.InvariantCulture))];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long? MemoryAvailable()
    {
        // MemAvailable:   24112488 kB
        const string Name = "MemAvailable:";
        string? line = File.ReadLines("/proc/meminfo")
            .FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        if (line is null) return null;

        string kilobytes = line[Name.Length..].Replace("kB", "", StringComparison.Ordinal);
        long machine = long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024;
        return Math.Min(machine, ContainerMemoryAvailable() ?? machine);
    }

    /// <summary>The memory left within a container's own limit (cgroup v2); null when there is none.</summary>
    private static long? ContainerMemoryAvailable()
    {
        const string Limit = "/sys/fs/cgroup/memory.max";
        const string Used = "/sys/fs/cgroup/memory.current";
        if (!File.Exists(Limit) || !File.Exists(Used)) return null;
        return long.TryParse(File.ReadAllText(Limit), CultureInfo.InvariantCulture, out long limit) &&
            long.TryParse(File.ReadAllText(Used), CultureInfo.InvariantCulture, out long used)
            ? Math.Max(0, limit - used)
            : null;
    }
}
