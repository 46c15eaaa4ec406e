using System.Net;
using Megaphone.Tls;

namespace Megaphone.Preflight;

/// <summary>What <c>megaphone check</c> needs to know about this machine. Null: unknown.</summary>
internal sealed record MachineFacts
{
    /// <summary>The hard limit of open files, to which the soft one is raised at the start.</summary>
    public required long? OpenFiles { get; init; }

    /// <summary>fs.nr_open: the ceiling of any process's limit.</summary>
    public required long? OpenFilesCeiling { get; init; }

    /// <summary>fs.file-max: open files of the whole machine.</summary>
    public required long? OpenFilesOfMachine { get; init; }

    /// <summary>net.ipv4.ip_local_port_range: the first and the last port of outgoing connections.</summary>
    public required (int First, int Last)? LocalPorts { get; init; }

    /// <summary>net.ipv4.ip_local_reserved_ports: those of them that no outgoing connection gets.</summary>
    public ReservedPorts ReservedPorts { get; init; } = new("");

    /// <summary>net.core.somaxconn: the longest backlog.</summary>
    public required long? LongestBacklog { get; init; }

    /// <summary>net.ipv4.tcp_max_syn_backlog: handshakes that may be under way for a listener.</summary>
    public required long? LongestSynBacklog { get; init; }

    /// <summary>MemAvailable, in bytes.</summary>
    public required long? MemoryAvailable { get; init; }

    /// <summary>The last number of net.ipv4.tcp_mem, in bytes: the limit of all TCP buffers together.</summary>
    public required long? TcpMemory { get; init; }

    /// <summary>For each configured listener why it cannot be bound; null when it can.</summary>
    public required IReadOnlyDictionary<EndPoint, BindProbe.Obstacle?> Bindable { get; init; }

    /// <summary>The certificates for clients; none when no listener uses TLS, or when they cannot be used.</summary>
    public IReadOnlyList<CertificateChain> Certificates { get; init; } = [];

    /// <summary>What is wrong with the certificates for clients, or with the library that TLS needs.</summary>
    public IReadOnlyList<CertificateProblem> CertificateProblems { get; init; } = [];

    /// <summary>The TLS files of links, for each role whose links use TLS.</summary>
    public IReadOnlyList<LinkTlsFacts> LinkTls { get; init; } = [];

    /// <summary>What systemd gives a service that is started with this configuration; null: no unit starts one.</summary>
    public UnitFacts? Unit { get; init; }

    /// <summary>The time.</summary>
    public DateTimeOffset Now { get; init; } = DateTimeOffset.UtcNow;
}
