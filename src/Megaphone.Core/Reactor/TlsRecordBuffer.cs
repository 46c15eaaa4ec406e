using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>
/// What a reactor has received of a connection with TLS: records that are not opened yet, and data that its handler has no room for. One
/// for all of the reactor's connections, of which one has its turn at a time.
/// </summary>
internal sealed unsafe class TlsRecordBuffer : IDisposable
{
    /// <summary>Records of one connection that are opened before others get their turn, whatever is in them.</summary>
    public const int RecordsInTurn = 16;

    /// <summary>
    /// Four records of full length, as many as a turn may deliver: with room for one, each receive would take one record and a part of the
    /// next, which would have to be kept. There is always room to receive when there is no whole record.
    /// </summary>
    public const int Capacity = 68 << 10;

    private readonly byte* _buffer = (byte*)NativeMemory.Alloc(Capacity);
    private readonly byte* _data = (byte*)NativeMemory.Alloc(SecurityParameters.MaxContentBytes);
    private int _start;
    private int _end;
    private int _dataStart;
    private int _dataEnd;

    /// <summary>The next record, as far as <see cref="TlsRecord.Measure"/> wants it whole; empty when more has to come.</summary>
    public ReadOnlySpan<byte> Next => Waiting[..TlsRecord.Measure(Waiting)];

    /// <summary>What has been received and not been opened.</summary>
    public Span<byte> Waiting => new(_buffer + _start, _end - _start);

    /// <summary>Whether there is data that has been opened and not been delivered.</summary>
    public bool HasData => _dataStart < _dataEnd;

    /// <summary>Begins a connection's turn with what was kept for it.</summary>
    public void Begin(ref KeptInput kept)
    {
        _start = _dataStart = 0;
        (_dataEnd, _end) = kept.Take(new Span<byte>(_data, SecurityParameters.MaxContentBytes), new Span<byte>(_buffer, Capacity));
    }

    /// <summary>Receives what has arrived, as far as there is room. There must be no whole record.</summary>
    /// <param name="descriptor">The socket.</param>
    /// <param name="isFilled">Whether there was no more room, so that more may have arrived.</param>
    /// <returns>As recv(2).</returns>
    public nint Receive(int descriptor, out bool isFilled)
    {
        MoveToStart();
        nint count = Receive(descriptor, Capacity - _end);
        isFilled = _end == Capacity;
        return count;
    }

    /// <summary>Receives the rest of one record if it has arrived whole, and nothing else. There must be no whole record.</summary>
    /// <param name="descriptor">The socket.</param>
    /// <param name="missing">The bytes that the socket has to hold before there is anything to receive, as far as that is known by now; 0
    /// when something was received, or has failed.</param>
    /// <returns>As recv(2); meaningless where bytes are missing.</returns>
    public nint ReceiveWhole(int descriptor, out int missing)
    {
        MoveToStart();
        missing = 0;
        nint count = Libc.Receive(descriptor, _buffer + _end, (nuint)(Capacity - _end), Libc.MsgDontWait | Libc.MsgPeek);
        if (count <= 0) return count;

        int length = TlsRecord.Measure(new ReadOnlySpan<byte>(_buffer, _end + (int)count));
        if (length > 0) return Receive(descriptor, length - _end);
        missing = TlsRecord.LengthOf(new ReadOnlySpan<byte>(_buffer, _end + (int)count)) - _end;
        return count;
    }

    /// <summary>Leaves behind what has been opened.</summary>
    public void Skip(int count) => _start += count;

    /// <summary>Delivers data: as much as there is room for. What is left is delivered by <see cref="DeliverRest"/>.</summary>
    /// <param name="data">The data of one record. Nothing may be left of an earlier one.</param>
    /// <param name="into">The room.</param>
    /// <returns>Bytes delivered.</returns>
    public int Deliver(ReadOnlySpan<byte> data, Span<byte> into)
    {
        int count = Math.Min(data.Length, into.Length);
        data[..count].CopyTo(into);
        data[count..].CopyTo(new Span<byte>(_data, SecurityParameters.MaxContentBytes));
        (_dataStart, _dataEnd) = (0, data.Length - count);
        return count;
    }

    /// <summary>Delivers what is left of an earlier record.</summary>
    public int DeliverRest(Span<byte> into)
    {
        int count = Math.Min(_dataEnd - _dataStart, into.Length);
        new ReadOnlySpan<byte>(_data + _dataStart, count).CopyTo(into);
        _dataStart += count;
        return count;
    }

    /// <summary>Ends the turn: what is left is kept for the connection's next one.</summary>
    public void End(ref KeptInput kept) => kept.Keep(new ReadOnlySpan<byte>(_data + _dataStart, _dataEnd - _dataStart), Waiting);

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.Free(_buffer);
        NativeMemory.Free(_data);
    }

    private nint Receive(int descriptor, int mostBytes)
    {
        nint count = Libc.Receive(descriptor, _buffer + _end, (nuint)mostBytes, Libc.MsgDontWait);
        if (count > 0) _end += (int)count;
        return count;
    }

    private void MoveToStart()
    {
        Waiting.CopyTo(new Span<byte>(_buffer, Capacity));
        (_start, _end) = (0, _end - _start);
    }
}
