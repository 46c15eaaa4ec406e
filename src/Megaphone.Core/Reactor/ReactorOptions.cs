namespace Megaphone.Reactor;

/// <summary>How the reactors of one room treat their connections.</summary>
internal sealed record ReactorOptions
{
    /// <summary>The name of the threads.</summary>
    public required string Name { get; init; }

    /// <summary>Reactor threads, 1 to <see cref="ConnectionId.MaxReactors"/>.</summary>
    public required int Reactors { get; init; }

    /// <summary>Connections of all reactors together.</summary>
    public required int MaxConnections { get; init; }

    /// <summary>How long one direction may stay open after the other has ended.</summary>
    public required TimeSpan HalfOpenTimeout { get; init; }

    /// <summary>How long accepted connections may take to be admitted; zero, the default: any time.</summary>
    public TimeSpan AdmitTimeout { get; init; }

    /// <summary>How often all connections are looked at, while the handler wants that; zero, the default: never.</summary>
    public TimeSpan LookInterval { get; init; }

    /// <summary>How long connecting to one address may take. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Connections closed per second by a sweep; 0, the default: as fast as it goes.</summary>
    public int CloseRate { get; init; }

    /// <summary>Whether threads delay their wait for events while very many come; see <see cref="EventCoalescing"/>.</summary>
    public bool CoalescesEvents { get; init; } = true;

    /// <summary>How much may wait for slow connections.</summary>
    public required BufferOptions Buffers { get; init; }

    /// <summary>How the kernel detects vanished peers.</summary>
    public required TcpLivenessOptions Liveness { get; init; }
}
