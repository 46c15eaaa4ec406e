using System.Net;

namespace Megaphone.Configuration;

/// <summary>The admin endpoint's settings, checked.</summary>
internal sealed record AdminOptions
{
    /// <summary>Connections that are served at the same time.</summary>
    public const int MaxConnections = 64;

    /// <summary>Where it listens; port 0 for any.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>The path of the Unix socket over which operators give orders; null: there is none.</summary>
    public string? Socket { get; init; }
}
