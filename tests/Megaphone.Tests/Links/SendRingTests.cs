using System.Runtime.CompilerServices;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Tests.Protocol;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>The ring against a model of a queue and a number of free bytes, on one thread.</summary>
public class SendRingTests
{
    private enum Step
    {
        Write,
        WriteUrgent,
        WriteShorter,
        Hold,
        ReleaseHeld,
        Send,
    }

    private static readonly Gen<(int Capacity, int Reserve)> Rings =
        Gen.Elements(64, 128, 256, 1024).SelectMany(
            capacity => Gen.Elements(0, 32, capacity / 4, capacity / 2),
            (capacity, reserve) => (capacity, Math.Min(reserve, capacity / 2)));

    /// <summary>A step, and a thousandth of the largest size that it may have: both ends come often.</summary>
    private static readonly Gen<(Step Step, int PerMille)> Steps =
        Gen.Elements(Step.Write, Step.Write, Step.WriteUrgent, Step.WriteShorter, Step.Hold, Step.ReleaseHeld, Step.Send, Step.Send)
            .SelectMany(_ => Gen.OneOf(Gen.Constant(0), Gen.Constant(1000), Gen.Choose(0, 1000)), (step, size) => (step, size));

    [Fact]
    public void Any_sequence_of_steps_does_what_a_queue_does() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(1_000).WithEndSize(200),
        Prop.ForAll(Arb.From(Rings), Arb.From(Steps.ArrayOf()), (ring, steps) =>
        {
            Model model = new(ring.Capacity, ring.Reserve);
            foreach ((Step step, int perMille) in steps) model.Do(step, perMille);
            model.Do(Step.Send, 0);
            Assert.Equal(0, model.Ring.Peek(out _, out _));
        }));

    [Fact]
    public void An_emptied_ring_begins_again_at_its_beginning()
    {
        SendRing ring = new(1 << 20, 0, () => { }, _ => { });
        byte[] content = new byte[1000];
        nint highest = 0;
        ReadOnlySpan<byte> beginning = [];
        for (int round = 0; round < 10_000; round++)
        {
            Write(ring, (ulong)round, content);
            Assert.Equal(1, ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(Packets.Of((ulong)round, content), first);
            Assert.True(second.IsEmpty);
            if (round == 0) beginning = first;
            highest = Math.Max(highest, Unsafe.ByteOffset(in beginning[0], in first[0]) + first.Length);
            ring.MarkSent(first.Length);
        }

        Assert.True(ring.IsIdle);
        Assert.InRange(highest, 64 << 10, (64 << 10) + PacketHeader.Size + content.Length);
    }

    [Fact]
    public void Packets_of_every_size_cross_the_end_at_every_place()
    {
        const int capacity = 256;
        SendRing ring = new(capacity, 0, () => { }, _ => { });
        byte[] content = new byte[capacity / 2 - PacketHeader.Size];
        for (int round = 0; round < 4 * capacity; round++)
        {
            int length = round % (content.Length + 1);
            content.AsSpan(0, length).Fill((byte)round);
            Write(ring, (ulong)round, content.AsSpan(0, length));

            Assert.Equal(1, ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(Packets.Of((ulong)round, content.AsSpan(0, length)), (byte[])[.. first, .. second]);
            ring.MarkSent(first.Length + second.Length);
        }
    }

    [Fact]
    public void Two_packets_of_half_the_ring_fill_it_and_a_third_waits()
    {
        int calls = 0;
        SendRing ring = new(256, 0, () => calls++, _ => { });
        byte[] content = new byte[128 - PacketHeader.Size];
        for (ulong id = 1; id <= 2; id++) Write(ring, id, content);
        Assert.False(ring.TryClaim(0, out _));
        Assert.Equal(0, calls);
        Assert.Equal(2, ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
        Assert.Equal(256, first.Length + second.Length);
        ring.MarkSent(256);
        Assert.Equal(1, calls);
        Assert.True(ring.TryClaim(content.Length, out _));
    }

    [Fact]
    public void Only_control_packets_may_use_the_reserve()
    {
        SendRing ring = new(256, 64, () => { }, _ => { });
        Assert.True(ring.TryClaim(192 - PacketHeader.Size, out _));
        Assert.False(ring.TryClaim(0, out _));
        Assert.True(ring.TryClaimReserve(0, out _));
        Assert.True(ring.TryClaimReserve(0, out _));
        Assert.False(ring.TryClaimReserve(0, out _));
    }

    [Fact]
    public void Room_is_signalled_once_when_half_of_the_ring_is_free_and_not_before()
    {
        int calls = 0;
        SendRing ring = new(256, 0, () => calls++, _ => { });
        RingClaim[] claims = Fill(ring);
        Assert.False(ring.TryClaim(0, out _));
        for (int freed = 1; freed <= claims.Length; freed++)
        {
            claims[freed - 1].Release();
            Assert.Equal(freed >= claims.Length / 2 ? 1 : 0, calls);
        }
    }

    [Fact]
    public void Room_is_signalled_only_after_a_refused_claim()
    {
        int calls = 0;
        SendRing ring = new(256, 0, () => calls++, _ => { });
        List<RingClaim> claims = [];
        for (int i = 0; i < 8; i++)
        {
            Assert.True(ring.TryClaim(0, out RingClaim claim));
            claims.Add(claim);
        }

        claims.ForEach(claim => claim.Release());
        Assert.Equal(0, calls);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(32, 0)]
    [InlineData(100, 0)]
    [InlineData(256, 129)]
    public void Sizes_that_cannot_work_are_refused(int capacity, int reserve) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new SendRing(capacity, reserve, () => { }, _ => { }));

    [Fact]
    public void Nothing_is_allocated_per_packet()
    {
        SendRing ring = new(1 << 12, 0, () => { }, _ => { });
        byte[] content = new byte[100];
        Assert.Equal(0, PacketHeaderTests.AllocatedBy(() =>
        {
            for (int i = 0; i < 1_000; i++)
            {
                Write(ring, 7, content);
                ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
                ring.MarkSent(first.Length + second.Length);
            }
        }));
    }

    [Fact]
    public void A_claim_holds_several_packets_and_releases_what_they_leave()
    {
        SendRing ring = new(256, 0, () => { }, _ => { });
        Assert.True(ring.TryClaim(100, out RingClaim claim, packets: 3));
        claim.Commit(1, new byte[10]);
        Assert.True(claim.Fits(100 - 10 + PacketHeader.Size));
        Assert.False(claim.Fits(100 - 10 + PacketHeader.Size + 1));
        claim.Commit(2, []);
        claim.Release();
        claim.Release();
        Assert.False(claim.Fits(0));
        Assert.Equal(2, ring.Peek(out ReadOnlySpan<byte> first, out _));
        ring.MarkSent(first.Length);
        Assert.True(ring.IsIdle);
    }

    [Fact]
    public void Packets_that_a_closed_ring_will_never_send_are_counted_as_lost()
    {
        int lost = 0;
        SendRing ring = new(256, 0, () => { }, packets => lost += packets);
        Write(ring, 1, []);
        Write(ring, 2, []);
        Assert.True(ring.TryClaim(0, out RingClaim claim));
        ring.Close();
        Assert.Equal(2, lost);
        Assert.False(ring.TryLockReader());
        claim.Commit(3, []);
        Assert.Equal(3, lost);
    }

    [Fact]
    public async Task A_ring_that_is_closed_while_many_write_counts_each_packet_once()
    {
        const int writers = 4;
        for (int round = 0; round < 200; round++)
        {
            int lost = 0, committed = 0;
            SendRing ring = new(64 << 10, 0, () => { }, packets => Interlocked.Add(ref lost, packets));
            byte[] content = new byte[100];
            Task[] writing = [.. Enumerable.Range(0, writers).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    while (ring.TryClaim(content.Length, out RingClaim claim))
                    {
                        claim.Commit(7, content);
                        Interlocked.Increment(ref committed);
                    }
                },
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default))];
            Thread.SpinWait(round * 50);
            ring.Close();
            await Task.WhenAll(writing);
            Assert.Equal(committed, lost);
        }
    }

    [Fact]
    public void One_reader_at_a_time()
    {
        SendRing ring = new(256, 0, () => { }, _ => { });
        Assert.True(ring.TryLockReader());
        Assert.False(ring.TryLockReader());
        ring.UnlockReader();
        Assert.True(ring.TryLockReader());
    }

    private static void Write(SendRing ring, ulong id, ReadOnlySpan<byte> content)
    {
        Assert.True(ring.TryClaim(content.Length, out RingClaim claim));
        claim.Commit(id, content);
        claim.Release();
    }

    /// <summary>Claims room for one empty packet after another until there is none.</summary>
    private static RingClaim[] Fill(SendRing ring)
    {
        List<RingClaim> claims = [];
        while (ring.TryClaim(0, out RingClaim claim)) claims.Add(claim);
        return [.. claims];
    }

    /// <summary>The ring and its model.</summary>
    private sealed class Model
    {
        private readonly int _capacity;
        private readonly int _reserve;
        private readonly List<byte> _queued = [];
        private readonly Queue<(RingClaim Claim, int Bytes)> _held = new();
        private int _packets;
        private int _free;
        private bool _starved;
        private int _expectedCalls;
        private int _calls;
        private ulong _nextId = 1;

        public Model(int capacity, int reserve)
        {
            _capacity = _free = capacity;
            _reserve = reserve;
            Ring = new SendRing(capacity, reserve, () => _calls++, _ => { });
        }

        public SendRing Ring { get; }

        public void Do(Step step, int perMille)
        {
            int largest = _capacity / 2;
            int size = PacketHeader.Size + (largest - PacketHeader.Size) * perMille / 1000;
            switch (step)
            {
                case Step.Write:
                    if (Claim(size, urgent: false) is { } claim) Write(claim, size, size);
                    break;
                case Step.WriteUrgent:
                    if (Claim(size, urgent: true) is { } urgent) Write(urgent, size, size);
                    break;
                case Step.WriteShorter:
                    if (Claim(largest, urgent: false) is { } longer) Write(longer, largest, size);
                    break;
                case Step.Hold:
                    if (Claim(size, urgent: false) is { } held) _held.Enqueue((held, size));
                    break;
                case Step.ReleaseHeld:
                    if (_held.TryDequeue(out (RingClaim Claim, int Bytes) oldest)) Release(oldest.Claim, oldest.Bytes);
                    break;
                case Step.Send:
                    Send();
                    break;
            }

            Assert.Null(Ring.FindViolation());
            Assert.Equal(_expectedCalls, _calls);
        }

        private RingClaim? Claim(int bytes, bool urgent)
        {
            int content = bytes - PacketHeader.Size;
            bool expected = _free - bytes >= (urgent ? 0 : _reserve);
            bool actual = urgent ? Ring.TryClaimReserve(content, out RingClaim claim) : Ring.TryClaim(content, out claim);
            Assert.Equal(expected, actual);
            if (actual) _free -= bytes;
            else _starved = true;
            return actual ? claim : null;
        }

        private void Write(RingClaim claim, int claimed, int size)
        {
            byte[] content = new byte[size - PacketHeader.Size];
            Array.Fill(content, (byte)_nextId);
            claim.Commit(_nextId, content);
            _queued.AddRange(Packets.Of(_nextId++, content));
            _packets++;
            Release(claim, claimed - size);
        }

        private void Release(RingClaim claim, int bytes)
        {
            Freed(bytes);
            claim.Release();
        }

        private void Send()
        {
            Assert.Equal(_packets, Ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(_queued, [.. first, .. second]);
            if (_packets == 0) return;
            Freed(_queued.Count);
            Ring.MarkSent(_queued.Count);
            _queued.Clear();
            _packets = 0;
        }

        private void Freed(int bytes)
        {
            _free += bytes;
            if (bytes == 0 || !_starved || _free < _capacity / 2) return;
            _starved = false;
            _expectedCalls++;
        }
    }
}
