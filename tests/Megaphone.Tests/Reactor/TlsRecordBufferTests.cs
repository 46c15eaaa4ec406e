using System.Net;
using System.Net.Sockets;
using Megaphone.Reactor;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Records arrive in any pieces and come out whole, once, and in order, however many turns their connection needs.</summary>
public sealed class TlsRecordBufferTests : IDisposable
{
    private readonly TlsRecordBuffer _records = new();
    private readonly Socket _near;
    private readonly Socket _far;

    public TlsRecordBufferTests()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _far.Connect(listener.LocalEndPoint!);
        _near = listener.Accept();
    }

    public void Dispose()
    {
        _near.Dispose();
        _far.Dispose();
        _records.Dispose();
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(7, 100)]
    [InlineData(50, 3)]
    public void Records_come_whole_and_in_order_however_they_are_cut_and_however_many_are_taken_in_a_turn(int piece, int inTurn)
    {
        byte[][] records = [.. Enumerable.Range(0, 40).Select(i => Record(i % 7 * 11, (byte)i))];
        byte[] stream = [.. records.SelectMany(record => record)];
        KeptInput kept = default;
        List<byte[]> taken = [];

        for (int at = 0; at < stream.Length || kept.Bytes > 0; at += piece)
        {
            if (at < stream.Length) _far.Send(stream.AsSpan(at, Math.Min(piece, stream.Length - at)));
            _records.Begin(ref kept);
            if (_records.Next.IsEmpty && at < stream.Length) Assert.True(Receive() > 0);
            for (int i = 0; i < inTurn && !_records.Next.IsEmpty; i++)
            {
                taken.Add(_records.Next.ToArray());
                _records.Skip(_records.Next.Length);
            }

            _records.End(ref kept);
        }

        // What the last turns did not ask for is still in the socket.
        while (taken.Count < records.Length)
        {
            _records.Begin(ref kept);
            if (_records.Next.IsEmpty) Assert.True(Receive() > 0);
            while (!_records.Next.IsEmpty)
            {
                taken.Add(_records.Next.ToArray());
                _records.Skip(_records.Next.Length);
            }

            _records.End(ref kept);
        }

        Assert.Equal(records, taken);
        Assert.Equal(0, kept.Bytes);
    }

    [Fact]
    public void Between_turns_of_one_connection_others_may_have_theirs()
    {
        KeptInput first = default, second = default;
        byte[] one = Record(200, 1), other = Record(300, 2);
        _far.Send(one.AsSpan(0, 100));
        _records.Begin(ref first);
        Receive();
        _records.End(ref first);
        Assert.NotEqual(0, first.Bytes);

        _far.Send(other);
        _records.Begin(ref second);
        Receive();
        Assert.Equal(other, _records.Next.ToArray());
        _records.Skip(other.Length);
        _records.End(ref second);
        Assert.Equal(0, second.Bytes);

        _far.Send(one.AsSpan(100));
        _records.Begin(ref first);
        Receive();
        Assert.Equal(one, _records.Next.ToArray());
        _records.Skip(one.Length);
        _records.End(ref first);
        Assert.Equal(0, first.Bytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(60)]
    public void A_record_that_is_not_whole_can_be_left_to_the_kernel(int keptBefore)
    {
        KeptInput kept = default;
        byte[] record = Record(200, 1), next = Record(10, 2);
        _records.Begin(ref kept);
        if (keptBefore > 0)
        {
            _far.Send(record.AsSpan(0, keptBefore));
            Receive();
        }

        // The header has not come whole, so no more is known to be missing than that.
        if (keptBefore < TlsRecord.HeaderBytes)
        {
            _far.Send(record.AsSpan(keptBefore, 1));
            Assert.Equal(TlsRecord.HeaderBytes - keptBefore, Missing(available: 1));
            _far.Send(record.AsSpan(keptBefore + 1, 99));
        }
        else
        {
            _far.Send(record.AsSpan(keptBefore, 100));
        }

        Assert.Equal(record.Length - keptBefore, Missing(available: 100));
        Assert.Equal(keptBefore, _records.Waiting.Length);

        _far.Send((byte[])[.. record.AsSpan(keptBefore + 100), .. next]);
        NativeSocket.ReportFrom((int)_near.Handle, record.Length - keptBefore);
        Assert.Equal(0, Missing(record.Length - keptBefore + next.Length));
        Assert.Equal(record, _records.Waiting.ToArray());
        _records.Skip(record.Length);
        NativeSocket.ReportFrom((int)_near.Handle, 1);
        Assert.Equal(0, Missing(next.Length));
        Assert.Equal(next, _records.Waiting.ToArray());
        _records.Skip(next.Length);
        _records.End(ref kept);
        Assert.Equal(0, kept.Bytes);
    }

    [Fact]
    public async Task The_longest_record_finds_room_behind_another_one()
    {
        KeptInput kept = default;
        byte[] small = Record(100, 1), longest = Record(TlsRecord.MaxBytes - TlsRecord.HeaderBytes, 2);
        Task sending = Task.Run(() => _far.Send([.. small, .. longest]));
        _records.Begin(ref kept);
        while (_records.Next.IsEmpty) Receive();
        Assert.Equal(small, _records.Next.ToArray());
        _records.Skip(small.Length);
        while (_records.Next.IsEmpty) Receive();

        await sending;
        Assert.Equal(longest, _records.Next.ToArray());
        _records.Skip(longest.Length);
        _records.End(ref kept);
    }

    private int Missing(int available)
    {
        SpinWait.SpinUntil(() => _near.Available == available);
        Assert.True(_records.ReceiveWhole((int)_near.Handle, out int missing) > 0);
        return missing;
    }

    private nint Receive()
    {
        _near.Poll(-1, SelectMode.SelectRead);
        return _records.Receive((int)_near.Handle, out _);
    }

    private static byte[] Record(int length, byte fill) =>
        [23, 3, 3, (byte)(length >> 8), (byte)length, .. Enumerable.Repeat(fill, length)];
}
