using Megaphone.Metrics;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Which states a connection can be in, as the table above <see cref="ConnectionFlags"/> has them.</summary>
public class ConnectionSlotTests
{
    private const ConnectionFlags Idle = ConnectionFlags.WatchesInput;

    [Theory]
    [InlineData(Idle, 7)]
    [InlineData(ConnectionFlags.Connecting | ConnectionFlags.WatchesOutput, 7)]
    [InlineData(ConnectionFlags.Connecting | ConnectionFlags.ConnectFailed, 7)]
    [InlineData(ConnectionFlags.Connecting | ConnectionFlags.ConnectFailed, -1)]
    [InlineData(ConnectionFlags.Connecting | ConnectionFlags.HasSent | ConnectionFlags.OutputQueued | ConnectionFlags.WriteEnding, 7)]
    [InlineData(Idle | ConnectionFlags.HasSent | ConnectionFlags.OutputQueued | ConnectionFlags.AboveHigh | ConnectionFlags.WatchesOutput, 7)]
    [InlineData(ConnectionFlags.ReadEnded | ConnectionFlags.ReadEndUnreported | ConnectionFlags.InStalledQueue, 7)]
    [InlineData(ConnectionFlags.ReadStalled | ConnectionFlags.InStalledQueue, 7)]
    [InlineData(ConnectionFlags.ReadPaused | ConnectionFlags.WriteEnded | ConnectionFlags.Unwatched, 7)]
    [InlineData(Idle | ConnectionFlags.Secured | ConnectionFlags.TlsHoldsInput, 7)]
    [InlineData(ConnectionFlags.Closed | ConnectionFlags.InStalledQueue | ConnectionFlags.CloseReported, -1)]
    [InlineData(ConnectionFlags.Closed | ConnectionFlags.ReadPaused | ConnectionFlags.AboveHigh, -1)]
    internal void These_states_are_possible(ConnectionFlags flags, int descriptor) => Assert.Null(ViolationOf(flags, descriptor));

    [Theory]
    [InlineData(ConnectionFlags.Closed, 7, "closed, with a descriptor")]
    [InlineData(ConnectionFlags.Closed | ConnectionFlags.OutputQueued, -1, "closed, with memory of its own")]
    [InlineData(ConnectionFlags.Closed | ConnectionFlags.Secured, -1, "closed, with memory of its own")]
    [InlineData(ConnectionFlags.CloseReported, 7, "reported as closed, and open")]
    [InlineData(ConnectionFlags.None, -1, "open, without a descriptor")]
    [InlineData(ConnectionFlags.ConnectFailed, 7, "failed to connect, and connected")]
    [InlineData(ConnectionFlags.Connecting | ConnectionFlags.ReadEnded, 7, "connecting, and in a state that only a connected one has")]
    [InlineData(ConnectionFlags.Connecting | ConnectionFlags.Secured, 7, "connecting, and in a state that only a connected one has")]
    [InlineData(ConnectionFlags.ReadStalled, 7, "stalled, and not in the queue")]
    [InlineData(ConnectionFlags.ReadEndUnreported, 7, "an end to report, without one")]
    [InlineData(Idle | ConnectionFlags.AboveHigh, 7, "above the high mark with nothing queued")]
    [InlineData(Idle | ConnectionFlags.WriteEnded | ConnectionFlags.WriteEnding, 7, "ended, with something to send")]
    [InlineData(Idle | ConnectionFlags.WriteEnded | ConnectionFlags.OutputQueued, 7, "ended, with something to send")]
    [InlineData(Idle | ConnectionFlags.OutputQueued, 7, "something queued that nobody sent")]
    [InlineData(Idle | ConnectionFlags.ReadPaused, 7, "watched for input that may not be read")]
    [InlineData(Idle | ConnectionFlags.Secured | ConnectionFlags.TlsWantsWrite, 7, "watched for input that may not be read")]
    [InlineData(ConnectionFlags.Unwatched | ConnectionFlags.WatchesOutput, 7, "watched and not watched")]
    [InlineData(Idle | ConnectionFlags.TlsHoldsInput, 7, "in a state of TLS, without TLS")]
    [InlineData(Idle | ConnectionFlags.TlsAwaitsRecord, 7, "in a state of TLS, without TLS")]
    [InlineData(
        Idle | ConnectionFlags.Secured | ConnectionFlags.OpenSslRecords | ConnectionFlags.TlsAwaitsRecord, 7,
        "waiting for a record that OpenSSL reads")]
    internal void These_are_not(ConnectionFlags flags, int descriptor, string violation) => Assert.Equal(violation, ViolationOf(flags, descriptor));

    [Fact]
    public void A_connection_that_is_closed_for_any_reason_can_be_handed_over()
    {
        foreach (CloseReason reason in Enum.GetValues<CloseReason>())
        {
            ConnectionSlot slot = new() { Generation = 1, Flags = ConnectionFlags.Closed, Descriptor = -1, Reason = reason };
            Assert.Null(slot.FindDamage());
        }
    }

    private static string? ViolationOf(ConnectionFlags flags, int descriptor) =>
        new ConnectionSlot { Flags = flags, Descriptor = descriptor }.FindViolation();
}
