using System.Net;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Values;

namespace Megaphone.Hub;

/// <summary>One address of the configured backends. Guarded by the lock of its <see cref="BackendAddresses"/>.</summary>
internal sealed class BackendAddress(TargetAddress address)
{
    /// <summary>Longer than any process runs.</summary>
    private static readonly TimeSpan MaxTime = TimeSpan.FromDays(36500);

    /// <summary>The address, and the backend that it is configured as.</summary>
    public TargetAddress Address => address;

    /// <summary>The same for system calls.</summary>
    public NativeAddress Native { get; } = new((IPEndPoint)address.EndPoint);

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

    /// <summary>Writes it, without its sessions.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="now">The time by the clock of which its times are: the next image's is another.</param>
    public void Save(StateWriter writer, TimeSpan now)
    {
        writer.WriteText(address.Target.Host);
        writer.Write((ushort)address.Target.Port);
        writer.WriteText(address.EndPoint.ToString());
        writer.Write(IsListed);
        writer.Write(Failures);
        writer.Write(RetryAt - now);
        writer.Write(OutSince - now);
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static BackendAddress Restore(StateReader reader, TimeSpan now)
    {
        HostPort target = new(reader.ReadName("a backend"), reader.Read<ushort>());
        BackendAddress restored = new(new TargetAddress(target, reader.ReadEndPoint("a backend's address")))
        {
            IsListed = reader.ReadFlag(),
            Failures = reader.ReadNumber(0, int.MaxValue, "how often a backend has failed"),
        };
        TimeSpan retryIn = reader.Read<TimeSpan>(), outFor = reader.Read<TimeSpan>();
        reader.Check(retryIn.Duration() < MaxTime && outFor.Duration() < MaxTime, "since when a backend is out");
        (restored.RetryAt, restored.OutSince) = (now + retryIn, now + outFor);
        return restored;
    }
}
