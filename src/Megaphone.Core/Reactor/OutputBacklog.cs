using System.Numerics;
using System.Runtime.InteropServices;

namespace Megaphone.Reactor;

/// <summary>
/// Bytes that the kernel did not take for one connection, in order: a pointer to one block of native memory, null while nothing waits.
/// </summary>
/// <remarks>Not thread-safe: the slot's gate guards it. It owns its block until <see cref="Release"/>, so it must not be copied.</remarks>
internal unsafe struct OutputBacklog
{
    private const int SmallestCapacity = 1024;

    private Block* _block;

    /// <summary>The bytes that wait.</summary>
    public readonly int Count => _block == null ? 0 : _block->End - _block->Start;

    /// <summary>The bytes that wait, valid until the next call.</summary>
    public readonly ReadOnlySpan<byte> Waiting => _block == null ? default : new(Bytes(_block) + _block->Start, Count);

    /// <summary>Bytes for which there is memory: what the bound for all buffers is about.</summary>
    public readonly int Capacity => _block == null ? 0 : _block->Capacity;

    /// <summary>The capacity that there would be if so many more bytes waited.</summary>
    public readonly int CapacityFor(int more) =>
        Fits(more) ? Capacity : (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(SmallestCapacity, Count + more));

    /// <summary>Copies bytes behind those that wait.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        if (_block == null || _block->Capacity - _block->End < bytes.Length) MakeRoom(bytes.Length);
        bytes.CopyTo(new Span<byte>(Bytes(_block) + _block->End, bytes.Length));
        _block->End += bytes.Length;
    }

    /// <summary>The first <paramref name="count"/> bytes, of those that wait, have been sent.</summary>
    public readonly void Advance(int count)
    {
        if (count > 0) _block->Start += count;
    }

    /// <summary>Frees the memory. Nothing waits afterwards.</summary>
    public void Release()
    {
        NativeMemory.Free(_block);
        _block = null;
    }

    private static byte* Bytes(Block* block) => (byte*)(block + 1);

    /// <summary>Whether so many more bytes fit, moved to the front if need be; moving pays when half of the block is free.</summary>
    private readonly bool Fits(int more) =>
        more == 0 || (_block != null
            && (_block->Capacity - _block->End >= more || (_block->Capacity - Count >= more && _block->Start >= _block->Capacity / 2)));

    private void MakeRoom(int more)
    {
        ReadOnlySpan<byte> waiting = Waiting;
        Block* block = _block;
        if (!Fits(more))
        {
            int capacity = CapacityFor(more);
            block = (Block*)NativeMemory.Alloc((nuint)sizeof(Block) + (nuint)capacity);
            block->Capacity = capacity;
        }

        waiting.CopyTo(new Span<byte>(Bytes(block), waiting.Length));
        (block->Start, block->End) = (0, waiting.Length);
        if (block != _block) NativeMemory.Free(_block);
        _block = block;
    }

    /// <summary>What stands before the bytes: how many there may be, and from where to where they wait.</summary>
    private struct Block
    {
        public int Capacity;
        public int Start;
        public int End;
    }
}
