using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>
/// What a reactor has received of a connection with TLS and not opened yet: one buffer for all of its connections, of which one has
/// its turn at a time.
/// </summary>
internal sealed unsafe class TlsRecordBuffer : IDisposable
{
    /// <summary>More than the longest record, so that there is always room to receive when there is no whole one.</summary>
    private const int Capacity = 32 << 10;

    private readonly byte* _buffer = (byte*)NativeMemory.Alloc(Capacity);
    private int _start;
    private int _end;

    /// <summary>The next record, as far as <see cref="TlsRecord.Measure"/> wants it whole; empty when more has to come.</summary>
    public ReadOnlySpan<byte> Next => Waiting[..TlsRecord.Measure(Waiting)];

    private ReadOnlySpan<byte> Waiting => new(_buffer + _start, _end - _start);

    /// <summary>Begins a connection's turn with what was kept for it.</summary>
    public void Begin(ref SecuredState state)
    {
        _start = 0;
        _end = state.KeptBytes;
        state.TakeKept(new Span<byte>(_buffer, _end));
    }

    /// <summary>Receives what has arrived, as far as there is room. There must be no whole record.</summary>
    /// <returns>As recv(2).</returns>
    public nint Receive(int descriptor)
    {
        Waiting.CopyTo(new Span<byte>(_buffer, Capacity));
        (_start, _end) = (0, _end - _start);
        nint count = Libc.Receive(descriptor, _buffer + _end, (nuint)(Capacity - _end), Libc.MsgDontWait);
        if (count > 0) _end += (int)count;
        return count;
    }

    /// <summary>Leaves behind what has been opened.</summary>
    public void Skip(int count) => _start += count;

    /// <summary>Ends the turn: what is left is kept for the connection's next one.</summary>
    public void End(ref SecuredState state) => state.Keep(Waiting);

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.Free(_buffer);
}
