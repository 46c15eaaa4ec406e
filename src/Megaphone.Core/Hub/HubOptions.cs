using System.Net;
using Megaphone.Links;
using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Hub;

/// <summary>The hub role's settings, checked.</summary>
internal sealed record HubOptions
{
    /// <summary>The address on which links are accepted, port 0 for any; or the path of a Unix socket.</summary>
    public required EndPoint Listen { get; init; }

    /// <summary>The mode of a Unix socket's file: who may write to it may connect. Default 0660.</summary>
    public UnixFileMode SocketMode { get; init; } =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    /// <summary>The servers to one of which each session is connected; none: the built-in <c>echo:</c>.</summary>
    public IReadOnlyList<HostPort> Backends { get; init; } = [];

    /// <summary>The settings that both ends of a link have.</summary>
    public required LinkOptions Link { get; init; }

    /// <summary>The TLS settings of links; null: no TLS.</summary>
    public LinkTlsOptions? Tls { get; init; }

    /// <summary>Links held at the same time. 1 to 4096, default 256.</summary>
    public int MaxLinks { get; init; } = 256;

    /// <summary>How long sessions wait for a link that is cut; zero: not at all. Default 90 s.</summary>
    public TimeSpan ResumeTimeout { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>Sessions held at the same time; more are reset. 1 to 16,000,000, default 1,000,000.</summary>
    public int MaxSessions { get; init; } = 1_000_000;

    /// <summary>Reactor threads. 1 to 64; default one for every two cores: links' receivers, which send, need the others.</summary>
    public int Reactors { get; init; } = Math.Clamp(Environment.ProcessorCount / 2, 1, 64);

    /// <summary>The timeout for connecting to the backend. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a session that has ended on one side only is kept. Default 30 s.</summary>
    public TimeSpan HalfOpenTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Silence, both ways, after which a session is ended; null: never.</summary>
    public TimeSpan? IdleTimeout { get; init; }

    /// <summary>The bounds of what is buffered for slow backends, and for those that are still being connected.</summary>
    public BufferOptions Buffers { get; init; } = new();

    /// <summary>How vanished backends are detected.</summary>
    public TcpLivenessOptions Liveness { get; init; } = new();
}
