using System.Net;

namespace Megaphone.Ecm;

/// <summary>One address on which an ECM takes clients.</summary>
internal sealed record ClientListenerOptions
{
    /// <summary>The address and port; port 0 for any.</summary>
    public required IPEndPoint Listen { get; init; }
}
