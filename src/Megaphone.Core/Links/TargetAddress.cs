using System.Net;
using Megaphone.Values;

namespace Megaphone.Links;

/// <summary>One of the addresses that a configured target stands for.</summary>
/// <param name="Target">The target as it is configured, by which metrics and readiness name it.</param>
/// <param name="EndPoint">The address, with the target's port; or the Unix socket.</param>
internal sealed record TargetAddress(HostPort Target, EndPoint EndPoint)
{
    /// <summary>For the log: <c>192.0.2.7:6280</c>, or <c>node1.example.org:6280 (192.0.2.7)</c>.</summary>
    public override string ToString() => EndPoint is IPEndPoint { Address: var address } && Target.Address is null
        ? $"{Target} ({address})"
        : Target.ToString();
}
