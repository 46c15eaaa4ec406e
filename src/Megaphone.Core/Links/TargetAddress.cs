using System.Net;
using Megaphone.Values;

namespace Megaphone.Links;

/// <summary>One of the addresses that a configured target stands for.</summary>
/// <param name="Target">The target as it is configured, by which metrics and readiness name it.</param>
/// <param name="EndPoint">The address, with the target's port.</param>
internal sealed record TargetAddress(HostPort Target, IPEndPoint EndPoint)
{
    /// <summary>For the log: <c>192.0.2.7:6280</c>, or <c>node1.example.org:6280 (192.0.2.7)</c>.</summary>
    public override string ToString() => Target.Address is null ? $"{Target} ({EndPoint.Address})" : Target.ToString();
}
