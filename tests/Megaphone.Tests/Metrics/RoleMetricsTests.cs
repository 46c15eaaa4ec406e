using System.Runtime.CompilerServices;
using Megaphone.Metrics;
using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Metrics;

/// <summary>There is a counter for each reason, and the counters hold no reference, so that they can be copied as one piece.</summary>
public class RoleMetricsTests
{
    [Fact]
    public void Each_reason_has_a_counter_and_there_are_no_others()
    {
        Assert.Equal(Enum.GetValues<CloseReason>().Length, Counters<RoleCounters.PerCloseReason>());
        Assert.Equal(Enum.GetValues<DropReason>().Length, Counters<RoleCounters.PerDropReason>());
        Assert.Equal(Enum.GetValues<RefusalReason>().Length, Counters<RoleCounters.PerRefusalReason>());
        Assert.Equal(Enum.GetValues<StreamCondition>().Length, Counters<RoleCounters.PerStreamCondition>());
        Assert.Equal(Enum.GetValues<HandshakeEnd>().Length, Counters<RoleCounters.PerHandshakeEnd>());
    }

    [Fact]
    public void Reasons_are_counted_apart()
    {
        RoleMetrics metrics = new(Role.Ecm);
        foreach (CloseReason reason in Enum.GetValues<CloseReason>())
        {
            for (int i = 0; i <= (int)reason; i++) metrics.AddSessionClosed(reason);
        }

        Assert.All(Enum.GetValues<CloseReason>(), reason => Assert.Equal((int)reason + 1, metrics.SessionsClosed(reason)));
        Assert.All(Enum.GetValues<DropReason>(), reason => Assert.Equal(0, metrics.Dropped(reason)));
    }

    [Fact]
    public void The_counters_hold_no_reference() => Assert.False(RuntimeHelpers.IsReferenceOrContainsReferences<RoleCounters>());

    private static int Counters<T>()
        where T : unmanaged => Unsafe.SizeOf<T>() / sizeof(long);
}
