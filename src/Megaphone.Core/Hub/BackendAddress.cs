using Megaphone.Interop;
using Megaphone.Links;

namespace Megaphone.Hub;

/// <summary>One address of the configured backends. Guarded by the lock of its <see cref="BackendAddresses"/>.</summary>
internal sealed class BackendAddress(TargetAddress address)
{
    /// <summary>The address, and the backend that it is configured as.</summary>
    public TargetAddress Address => address;

    /// <summary>The same for system calls.</summary>
    public NativeAddress Native { get; } = new(address.EndPoint);

    /// <summary>Whether it gets new sessions: name servers still list it.</summary>
    public bool IsListed { get; set; } = true;

    /// <summary>Sessions that are, or are being, connected to it.</summary>
    public int Sessions { get; set; }

    /// <summary>How many attempts in a row have failed; 0: it works, as far as is known.</summary>
    public int Failures { get; set; }

    /// <summary>After a failure: when it is tried again.</summary>
    public TimeSpan RetryAt { get; set; }

    /// <summary>After a failure: when the first of them was.</summary>
    public TimeSpan OutSince { get; set; }
}
