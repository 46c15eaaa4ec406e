using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Something outside this process that is connected to.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Kind">What it is for.</param>
/// <param name="To">Where it is.</param>
internal sealed record Target(string Key, TargetKind Kind, HostPort To)
{
    /// <summary>Whether what is sent there leaves this machine, as far as its address tells.</summary>
    public bool IsElsewhere => To.IsElsewhere;
}
