using System.Net;

namespace Megaphone.Service;

/// <summary>The admin endpoint's settings, checked.</summary>
internal sealed record AdminOptions
{
    /// <summary>Where it listens; port 0 for any. Default 127.0.0.1:6281.</summary>
    public required IPEndPoint Listen { get; init; }
}
