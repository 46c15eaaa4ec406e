using FsCheck;
using FsCheck.Fluent;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Tests.Handover;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>The ring of a link that can be resumed, against a model: what was sent is kept until it is acknowledged, and can be sent again.</summary>
public class KeptRingTests
{
    private const int Capacity = 1024;
    private const int Reserve = 256;
    private const int AckReserve = Reserve / 4;

    private enum Step
    {
        Write,
        WriteUrgent,
        WriteAck,
        Send,
        Acknowledge,
        Cut,
        HandOver,
    }

    private static readonly Gen<(Step Step, int PerMille)> Steps =
        Gen.Elements(
            Step.Write, Step.Write, Step.Write, Step.WriteUrgent, Step.WriteAck, Step.Send, Step.Send, Step.Acknowledge, Step.Cut, Step.HandOver)
            .SelectMany(_ => Gen.OneOf(Gen.Constant(0), Gen.Constant(1000), Gen.Choose(0, 1000)), (step, size) => (step, size));

    [Fact]
    public void Any_sequence_of_steps_sends_what_is_not_acknowledged() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(1_000).WithEndSize(300),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            Model model = new();
            foreach ((Step step, int perMille) in steps) model.Do(step, perMille);
        }));

    [Fact]
    public void The_last_of_the_reserve_is_for_acknowledgements()
    {
        SendRing ring = New();
        while (ring.TryClaim(0, out _))
        {
        }

        while (ring.TryClaimReserve(0, out _))
        {
        }

        for (int i = 0; i < AckReserve / PacketHeader.Size; i++) Assert.True(ring.TryClaimReserve(0, out _, isAck: true));
        Assert.False(ring.TryClaimReserve(0, out _, isAck: true));
    }

    [Fact]
    public void An_acknowledgement_that_finds_the_reader_locked_is_heeded_when_it_is_unlocked()
    {
        SendRing ring = New();
        Write(ring, 100);
        Assert.True(ring.TryLockReader());
        ring.Peek(out ReadOnlySpan<byte> first, out _);

        // It may arrive before the send has returned.
        Assert.True(ring.TryAcknowledge(first.Length));
        Assert.Equal(0, ring.Unacknowledged);
        ring.MarkSent(first.Length);
        Assert.Equal(first.Length, ring.Unacknowledged);
        ring.UnlockReader();
        Assert.Equal(0, ring.Unacknowledged);
        Assert.True(ring.IsIdle);
    }

    [Theory]
    [InlineData(133)]
    [InlineData(-1)]
    public void What_was_not_sent_cannot_have_been_received(long received)
    {
        SendRing ring = New();
        Write(ring, 100);
        Write(ring, 100);
        Assert.True(ring.TryLockReader());
        ring.Peek(out ReadOnlySpan<byte> first, out _);
        ring.MarkSent(first.Length);
        ring.UnlockReader();
        if (received > 0) Assert.False(ring.TryAcknowledge(received));
        Assert.False(ring.TryAcknowledge(first.Length + 1));
        Assert.False(ring.TryResend(received));
        Assert.True(ring.TryResend(132));
        Assert.Equal(1, ring.Peek(out _, out _));
    }

    private static SendRing New() => new(Capacity, Reserve, () => { }, _ => { }, keepsSent: true);

    private static void Write(SendRing ring, int content)
    {
        Assert.True(ring.TryClaim(content, out RingClaim claim));
        claim.Commit(7, new byte[content]);
    }

    /// <summary>The ring and its model.</summary>
    private sealed class Model
    {
        private SendRing _ring = New();
        private readonly Queue<byte[]> _kept = new();
        private int _sent;
        private int _free = Capacity;
        private long _acknowledged;
        private ulong _nextId = 1;

        public void Do(Step step, int perMille)
        {
            switch (step)
            {
                case Step.Write or Step.WriteUrgent or Step.WriteAck:
                    Write(step, (Capacity / 4 - PacketHeader.Size) * perMille / 1000);
                    break;
                case Step.Send:
                    Send();
                    break;
                case Step.HandOver:
                    _ring = HandedOver.Copy(writer => RingImage.Save(_ring, writer), reader =>
                    {
                        SendRing ring = New();
                        RingImage.Restore(ring, reader);
                        return ring;
                    });
                    break;
                case Step.Acknowledge:
                    Receive(_sent * perMille / 1000, cut: false);
                    break;
                default:
                    Receive(_sent * perMille / 1000, cut: true);
                    break;
            }

            Assert.Null(_ring.FindViolation());
            Assert.Equal(_kept.Take(_sent).Sum(packet => packet.Length), _ring.Unacknowledged);
        }

        private void Write(Step step, int size)
        {
            int leave = step switch
            {
                Step.Write => Reserve,
                Step.WriteUrgent => AckReserve,
                _ => 0,
            };
            bool claimed = step == Step.Write
                ? _ring.TryClaim(size, out RingClaim claim)
                : _ring.TryClaimReserve(size, out claim, isAck: step == Step.WriteAck);
            Assert.Equal(_free - RingClaim.BytesFor(size) >= leave, claimed);
            if (!claimed) return;
            byte[] content = new byte[size];
            Array.Fill(content, (byte)_nextId);
            claim.Commit(_nextId, content);
            _kept.Enqueue(Packets.Of(_nextId++, content));
            _free -= RingClaim.BytesFor(size);
        }

        private void Send()
        {
            Assert.True(_ring.TryLockReader());
            Assert.Equal(_kept.Count - _sent, _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(_kept.Skip(_sent).SelectMany(packet => packet), [.. first, .. second]);
            _ring.MarkSent(first.Length + second.Length);
            _ring.UnlockReader();
            _sent = _kept.Count;
        }

        private void Receive(int packets, bool cut)
        {
            for (int i = 0; i < packets; i++)
            {
                byte[] packet = _kept.Dequeue();
                _acknowledged += packet.Length;
                _free += packet.Length;
            }

            _sent = cut ? 0 : _sent - packets;
            Assert.True(cut ? _ring.TryResend(_acknowledged) : _ring.TryAcknowledge(_acknowledged));
        }
    }
}
