using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Protocol;

/// <summary>Section 1 of the link protocol: a receiver must handle any fragmentation, and never resynchronizes.</summary>
public class PacketSplitterTests
{
    private const int Limit = 300;

    private static readonly byte[] Example = Encoding.ASCII.GetBytes(
        "0000000041|00000000000000000007|PRESENCE!"
        + "0000000032|00000000000000000007|"
        + "0000000033|18446744073709551615|x");

    private static readonly string[] ExamplePackets = ["7:PRESENCE!", "7:", "18446744073709551615:x"];

    /// <summary>Ids of every number of digits, the ends of the range among them.</summary>
    private static readonly Gen<ulong> Ids = Gen.OneOf(
        Gen.Elements<ulong>(0, 1, 7, 1UL << 32, ulong.MaxValue - 1, ulong.MaxValue),
        ArbMap.Default.GeneratorFor<DoNotSize<ulong>>().SelectMany(
            _ => Gen.Choose(0, 63), (bits, shift) => bits.Item >> shift));

    private static readonly Gen<byte> AnyByte = Gen.Choose(0, 255).Select(value => (byte)value);

    /// <summary>Bytes that headers are made of, and their neighbours: nearly valid by chance.</summary>
    private static readonly Gen<byte> HeaderByte =
        Gen.Choose('/', ':').Select(value => (byte)value).Or(Gen.Constant((byte)'|'));

    /// <summary>A whole packet whose content may look like a header.</summary>
    private static readonly Gen<byte[]> Packets = Ids.SelectMany(
        id => Gen.Choose(0, Limit - PacketHeader.Size).SelectMany(n => HeaderByte.Or(AnyByte).ArrayOf(n)),
        (id, content) => Packet(id, content));

    private static readonly Gen<byte[]> Streams =
        Packets.ArrayOf().Select(packets => packets.SelectMany(p => p).ToArray());

    /// <summary>Streams with a few bytes changed, and plain noise.</summary>
    private static readonly Gen<byte[]> SpoiltStreams = Gen.OneOf(
        Streams.SelectMany(_ => Spoilings(), (stream, spoilings) => Spoilt(stream, spoilings)),
        HeaderByte.ArrayOf(100),
        AnyByte.ArrayOf());

    /// <summary>The lengths of the parts in which a stream arrives, repeated; some are 0.</summary>
    private static readonly Gen<int[]> PieceLengths = Gen.OneOf(Gen.Choose(0, 3), Gen.Choose(0, 40), Gen.Choose(1, 500))
        .NonEmptyListOf().Select(lengths => lengths.Append(1).ToArray());

    [Fact]
    public void Packets_come_out_the_same_at_every_single_cut()
    {
        for (int cut = 0; cut <= Example.Length; cut++)
        {
            Reading reading = new(Limit);
            reading.Feed(Example.AsSpan(0, cut));
            reading.Feed(Example.AsSpan(cut));
            Assert.Equal(ExamplePackets, reading.Packets);
            Assert.Null(reading.Fault);
            Assert.Equal(Example.Length, reading.Offset);
        }
    }

    [Fact]
    public void Packets_come_out_the_same_byte_by_byte()
    {
        Reading reading = new(Limit);
        foreach (byte value in Example) reading.Feed([value]);
        Assert.Equal(ExamplePackets, reading.Packets);
    }

    [Fact]
    public void Any_packets_cut_at_any_points_come_out_the_same() => Check(
        Prop.ForAll(Arb.From(Packets.ArrayOf()), Arb.From(PieceLengths), (packets, lengths) =>
        {
            Reading reading = Read(packets.SelectMany(p => p).ToArray(), lengths);
            return reading.Fault is null && reading.Packets.SequenceEqual(packets.Select(Shown));
        }));

    [Fact]
    public void Garbage_is_refused_for_the_same_reason_at_the_same_offset_however_it_is_cut() => Check(
        Prop.ForAll(Arb.From(SpoiltStreams), Arb.From(PieceLengths), (stream, lengths) =>
        {
            Reading whole = Read(stream, [Math.Max(1, stream.Length)]);
            Reading cut = Read(stream, lengths);
            return whole.Fault?.ToString() == cut.Fault?.ToString()
                && whole.Fault?.Offset == cut.Fault?.Offset
                && whole.Fault?.Kind == cut.Fault?.Kind
                && whole.Offset == cut.Offset
                && whole.Packets.SequenceEqual(cut.Packets);
        }));

    [Fact]
    public void A_fault_is_found_as_soon_as_its_byte_has_arrived() => Check(
        Prop.ForAll(Arb.From(SpoiltStreams), stream =>
        {
            Reading reading = new(Limit);
            for (int at = 0; at < stream.Length; at++)
            {
                reading.Feed([stream[at]]);
                if (reading.Fault is not null) return reading.Fault.Offset == at;
            }

            return true;
        }));

    [Fact]
    public void While_a_packet_is_incomplete_nothing_is_consumed()
    {
        PacketSplitter splitter = new(Limit);
        for (int there = 0; there < 41; there++)
        {
            Assert.Equal(PacketSplitter.Result.Incomplete, splitter.Next(Example.AsSpan(0, there), out PacketHeader header));
            Assert.Equal(there < PacketHeader.Size ? default : new PacketHeader(41, 7), header);
            Assert.Equal(0, splitter.Offset);
        }
    }

    [Fact]
    public void A_malformed_stream_stays_malformed()
    {
        PacketSplitter splitter = new(Limit);
        Assert.Equal(PacketSplitter.Result.Malformed, splitter.Next("00000x"u8, out _));
        PacketFault? fault = splitter.Fault;

        Assert.Equal(PacketSplitter.Result.Malformed, splitter.Next(Example, out PacketHeader header));
        Assert.Equal(PacketSplitter.Result.Malformed, splitter.Next([], out _));
        Assert.Equal(default, header);
        Assert.Same(fault, splitter.Fault);
        Assert.Equal(0, splitter.Offset);
    }

    [Theory]
    [InlineData(31, PacketSplitter.Result.Malformed)]
    [InlineData(32, PacketSplitter.Result.Packet)]
    [InlineData(Limit, PacketSplitter.Result.Packet)]
    [InlineData(Limit + 1, PacketSplitter.Result.Malformed)]
    [InlineData(PacketHeader.MaxLength, PacketSplitter.Result.Malformed)]
    internal void Packets_from_32_bytes_to_the_limit_are_taken(long length, PacketSplitter.Result expected)
    {
        byte[] stream = new byte[Limit + 1];
        Encoding.ASCII.GetBytes($"{length:D10}|00000000000000000007|", stream);

        PacketSplitter splitter = new(Limit);
        Assert.Equal(expected, splitter.Next(stream, out _));
    }

    [Fact]
    public void A_limit_below_a_header_throws() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new PacketSplitter(PacketHeader.Size - 1));

    [Fact]
    public void Nothing_is_allocated() => Assert.Equal(0, PacketHeaderTests.AllocatedBy(() =>
    {
        PacketSplitter splitter = new(Limit);
        for (int cut = 0; cut <= Example.Length; cut++)
        {
            ReadOnlySpan<byte> unread = Example.AsSpan(0, cut);
            while (splitter.Next(unread, out PacketHeader header) == PacketSplitter.Result.Packet)
                unread = unread[header.Length..];
        }
    }));

    private static void Check(Property property) =>
        FsCheck.Check.One(Config.QuickThrowOnFailure.WithMaxTest(2_000), property);

    private static byte[] Packet(ulong id, byte[] content)
    {
        byte[] packet = new byte[PacketHeader.Size + content.Length];
        PacketHeader.Write(packet, packet.Length, id);
        content.CopyTo(packet, PacketHeader.Size);
        return packet;
    }

    private static string Shown(byte[] packet) =>
        $"{ulong.Parse(Encoding.ASCII.GetString(packet, 11, 20))}:{Encoding.Latin1.GetString(packet.AsSpan(32))}";

    private static Gen<(int At, byte Value)[]> Spoilings() =>
        Gen.Choose(0, 1_000_000).SelectMany(_ => HeaderByte.Or(AnyByte), (at, value) => (at, value)).ArrayOf(3);

    private static byte[] Spoilt(byte[] stream, (int At, byte Value)[] spoilings)
    {
        byte[] spoilt = [.. stream];
        if (spoilt.Length == 0) return spoilt;
        foreach ((int at, byte value) in spoilings) spoilt[at % spoilt.Length] = value;
        return spoilt;
    }

    private static Reading Read(byte[] stream, int[] pieceLengths)
    {
        Reading reading = new(Limit);
        int at = 0;
        for (int piece = 0; at < stream.Length; piece++)
        {
            int length = Math.Min(pieceLengths[piece % pieceLengths.Length], stream.Length - at);
            reading.Feed(stream.AsSpan(at, length));
            at += length;
        }

        return reading;
    }

    /// <summary>A minimal receiver: keeps what is not consumed, and records the packets.</summary>
    private sealed class Reading(int limit)
    {
        private readonly List<string> _packets = [];
        private PacketSplitter _splitter = new(limit);
        private byte[] _unread = [];

        public IReadOnlyList<string> Packets => _packets;

        public PacketFault? Fault => _splitter.Fault;

        public long Offset => _splitter.Offset;

        public void Feed(ReadOnlySpan<byte> piece)
        {
            _unread = [.. _unread, .. piece];
            while (_splitter.Next(_unread, out PacketHeader header) == PacketSplitter.Result.Packet)
            {
                string content = Encoding.Latin1.GetString(_unread.AsSpan(PacketHeader.Size, header.ContentLength));
                _packets.Add($"{header.ConnectionId}:{content}");
                _unread = _unread[header.Length..];
            }
        }
    }
}
