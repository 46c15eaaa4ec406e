using System.Buffers;
using System.Numerics;

namespace Megaphone.Reactor;

/// <summary>Bytes that the kernel did not take for one connection, in order. Not thread-safe: the slot's gate guards it.</summary>
/// <remarks>Exists only while something waits; its array comes from, and goes back to, the shared pool.</remarks>
internal sealed class OutputBacklog
{
    private const int SmallestArray = 1024;

    private byte[] _array = [];
    private int _start;
    private int _end;

    /// <summary>The bytes that wait.</summary>
    public int Count => _end - _start;

    /// <summary>The bytes that wait, valid until the next call.</summary>
    public ReadOnlySpan<byte> Waiting => _array.AsSpan(_start, Count);

    /// <summary>Memory that is taken, in bytes: what the bound for all buffers is about.</summary>
    public int Capacity => _array.Length;

    /// <summary>The memory that would be taken if so many more bytes waited.</summary>
    public int CapacityFor(int more) =>
        Fits(more) ? _array.Length : (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(SmallestArray, Count + more));

    /// <summary>Copies bytes behind those that wait.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_array.Length - _end < bytes.Length) MakeRoom(bytes.Length);
        bytes.CopyTo(_array.AsSpan(_end));
        _end += bytes.Length;
    }

    /// <summary>The first <paramref name="count"/> bytes have been sent.</summary>
    public void Advance(int count) => _start += count;

    /// <summary>Gives the array back. Nothing waits afterwards.</summary>
    public void Release()
    {
        if (_array.Length > 0) ArrayPool<byte>.Shared.Return(_array);
        _array = [];
        _start = _end = 0;
    }

    /// <summary>Whether so many more bytes fit, moved to the front if need be; moving pays when half of the array is free.</summary>
    private bool Fits(int more) =>
        _array.Length - _end >= more || (_array.Length - Count >= more && _start >= _array.Length / 2);

    private void MakeRoom(int more)
    {
        int count = Count;
        if (Fits(more))
        {
            _array.AsSpan(_start, count).CopyTo(_array);
        }
        else
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(CapacityFor(more));
            _array.AsSpan(_start, count).CopyTo(larger);
            if (_array.Length > 0) ArrayPool<byte>.Shared.Return(_array);
            _array = larger;
        }

        _start = 0;
        _end = count;
    }
}
