using System.Runtime.CompilerServices;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Tests.Protocol;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>The ring against a model that is a queue and a number of free bytes, on one thread.</summary>
public class SendRingTests
{
    private enum Step
    {
        Write,
        WriteUrgent,
        WriteShorter,
        Hold,
        ReturnHeld,
        Send,
    }

    private static readonly Gen<(int Capacity, int Reserve)> Rings =
        Gen.Elements(64, 128, 256, 1024).SelectMany(
            capacity => Gen.Elements(0, 32, capacity / 4, capacity / 2),
            (capacity, reserve) => (capacity, Math.Min(reserve, capacity / 2)));

    /// <summary>A step, and a thousandth of the largest size that it may have: both ends come often.</summary>
    private static readonly Gen<(Step Step, int PerMille)> Steps =
        Gen.Elements(Step.Write, Step.Write, Step.WriteUrgent, Step.WriteShorter, Step.Hold, Step.ReturnHeld, Step.Send, Step.Send)
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
        SendRing ring = new(1 << 20, 0, () => { });
        byte[] content = new byte[1000];
        nint highest = 0;
        ReadOnlySpan<byte> beginning = [];
        for (int round = 0; round < 10_000; round++)
        {
            Assert.True(ring.TryAcquire(PacketHeader.Size + content.Length));
            ring.Write((ulong)round, content);
            Assert.Equal(1, ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(Packets.Of((ulong)round, content), first);
            Assert.True(second.IsEmpty);
            if (round == 0) beginning = first;
            highest = Math.Max(highest, Unsafe.ByteOffset(in beginning[0], in first[0]) + first.Length);
            ring.Free(first.Length);
        }

        Assert.True(ring.IsIdle);
        Assert.InRange(highest, 64 << 10, (64 << 10) + PacketHeader.Size + content.Length);
    }

    [Fact]
    public void Packets_of_every_size_cross_the_end_at_every_place()
    {
        const int capacity = 256;
        SendRing ring = new(capacity, 0, () => { });
        byte[] content = new byte[capacity / 2 - PacketHeader.Size];
        for (int round = 0; round < 4 * capacity; round++)
        {
            int length = round % (content.Length + 1);
            content.AsSpan(0, length).Fill((byte)round);
            Assert.True(ring.TryAcquire(PacketHeader.Size + length));
            ring.Write((ulong)round, content.AsSpan(0, length));

            Assert.Equal(1, ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(Packets.Of((ulong)round, content.AsSpan(0, length)), (byte[])[.. first, .. second]);
            ring.Free(first.Length + second.Length);
        }
    }

    [Fact]
    public void Two_packets_of_half_the_ring_fill_it_and_a_third_waits()
    {
        int calls = 0;
        SendRing ring = new(256, 0, () => calls++);
        byte[] content = new byte[128 - PacketHeader.Size];
        for (ulong id = 1; id <= 2; id++)
        {
            Assert.True(ring.TryAcquire(128));
            ring.Write(id, content);
        }

        Assert.False(ring.TryAcquire(PacketHeader.Size));
        Assert.Equal(0, calls);
        Assert.Equal(2, ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
        Assert.Equal(256, first.Length + second.Length);
        ring.Free(256);
        Assert.Equal(1, calls);
        Assert.True(ring.TryAcquire(128));
    }

    [Fact]
    public void What_is_reserved_is_given_to_control_packets_only()
    {
        SendRing ring = new(256, 64, () => { });
        Assert.True(ring.TryAcquire(192));
        Assert.False(ring.TryAcquire(PacketHeader.Size));
        Assert.True(ring.TryAcquireReserve(32));
        Assert.True(ring.TryAcquireReserve(32));
        Assert.False(ring.TryAcquireReserve(32));
    }

    [Fact]
    public void Room_is_told_again_once_when_half_is_free_and_not_before()
    {
        int calls = 0;
        SendRing ring = new(256, 0, () => calls++);
        for (int i = 0; i < 8; i++) Assert.True(ring.TryAcquire(32));
        Assert.False(ring.TryAcquire(32));
        for (int freed = 32; freed <= 256; freed += 32)
        {
            ring.Return(32);
            Assert.Equal(freed >= 128 ? 1 : 0, calls);
        }
    }

    [Fact]
    public void Room_is_told_again_only_after_a_refusal()
    {
        int calls = 0;
        SendRing ring = new(256, 0, () => calls++);
        for (int i = 0; i < 8; i++) Assert.True(ring.TryAcquire(32));
        ring.Return(256);
        Assert.Equal(0, calls);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(32, 0)]
    [InlineData(100, 0)]
    [InlineData(256, 129)]
    public void Sizes_that_cannot_work_are_refused(int capacity, int reserve) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new SendRing(capacity, reserve, () => { }));

    [Fact]
    public void Nothing_is_allocated_per_packet()
    {
        SendRing ring = new(1 << 12, 0, () => { });
        byte[] content = new byte[100];
        Assert.Equal(0, PacketHeaderTests.AllocatedBy(() =>
        {
            for (int i = 0; i < 1_000; i++)
            {
                ring.TryAcquire(PacketHeader.Size + content.Length);
                ring.Write(7, content);
                ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
                ring.Free(first.Length + second.Length);
            }
        }));
    }

    /// <summary>The ring and what must be true of it.</summary>
    private sealed class Model
    {
        private readonly int _capacity;
        private readonly int _reserve;
        private readonly List<byte> _queued = [];
        private readonly Queue<int> _held = new();
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
            Ring = new SendRing(capacity, reserve, () => _calls++);
        }

        public SendRing Ring { get; }

        public void Do(Step step, int perMille)
        {
            int largest = _capacity / 2;
            int size = PacketHeader.Size + (largest - PacketHeader.Size) * perMille / 1000;
            switch (step)
            {
                case Step.Write:
                    if (Acquire(size, urgent: false)) Write(size);
                    break;
                case Step.WriteUrgent:
                    if (Acquire(size, urgent: true)) Write(size);
                    break;
                case Step.WriteShorter:
                    if (!Acquire(largest, urgent: false)) break;
                    Write(size);
                    Return(largest - size);
                    break;
                case Step.Hold:
                    if (Acquire(size, urgent: false)) _held.Enqueue(size);
                    break;
                case Step.ReturnHeld:
                    if (_held.TryDequeue(out int held)) Return(held);
                    break;
                case Step.Send:
                    Send();
                    break;
            }

            Assert.Equal(_expectedCalls, _calls);
        }

        private bool Acquire(int bytes, bool urgent)
        {
            bool expected = _free - bytes >= (urgent ? 0 : _reserve);
            bool actual = urgent ? Ring.TryAcquireReserve(bytes) : Ring.TryAcquire(bytes);
            Assert.Equal(expected, actual);
            if (actual) _free -= bytes;
            else _starved = true;
            return actual;
        }

        private void Write(int size)
        {
            byte[] content = new byte[size - PacketHeader.Size];
            Array.Fill(content, (byte)_nextId);
            Ring.Write(_nextId, content);
            _queued.AddRange(Packets.Of(_nextId++, content));
            _packets++;
        }

        private void Return(int bytes)
        {
            Freed(bytes);
            Ring.Return(bytes);
        }

        private void Send()
        {
            Assert.Equal(_packets, Ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second));
            Assert.Equal(_queued, [.. first, .. second]);
            if (_packets == 0) return;
            Freed(_queued.Count);
            Ring.Free(_queued.Count);
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
