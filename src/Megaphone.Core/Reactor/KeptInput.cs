using System.Runtime.InteropServices;

namespace Megaphone.Reactor;

/// <summary>
/// What was received of a connection with TLS and waits for its next turn: data that has been opened, and behind it bytes that have not. A
/// pointer to one block of native memory of just that size; null, as for every idle connection: nothing.
/// </summary>
/// <remarks>Not thread-safe. It owns its block until <see cref="Free"/> or <see cref="Take"/>, so it must not be copied.</remarks>
internal unsafe struct KeptInput
{
    private Block* _block;

    /// <summary>Bytes of memory that it takes; 0: nothing is kept.</summary>
    public readonly int Bytes => _block == null ? 0 : sizeof(Block) + _block->Opened + _block->Received;

    /// <summary>Keeps copies. Nothing must be kept yet.</summary>
    /// <param name="opened">Data that the handler had no room for.</param>
    /// <param name="received">Records, the last of which may be incomplete.</param>
    public void Keep(ReadOnlySpan<byte> opened, ReadOnlySpan<byte> received)
    {
        if (opened.IsEmpty && received.IsEmpty) return;
        _block = (Block*)NativeMemory.Alloc((nuint)(sizeof(Block) + opened.Length + received.Length));
        (_block->Opened, _block->Received) = (opened.Length, received.Length);
        opened.CopyTo(OpenedBytes);
        received.CopyTo(ReceivedBytes);
    }

    /// <summary>Gives back what is kept.</summary>
    /// <param name="opened">Where the data goes; large enough for it.</param>
    /// <param name="received">Where the rest goes; large enough for it.</param>
    /// <returns>Bytes of each.</returns>
    public (int Opened, int Received) Take(Span<byte> opened, Span<byte> received)
    {
        if (_block == null) return default;
        (int Opened, int Received) counts = (_block->Opened, _block->Received);
        OpenedBytes.CopyTo(opened);
        ReceivedBytes.CopyTo(received);
        Free();
        return counts;
    }

    /// <summary>Frees the memory. Nothing is kept afterwards.</summary>
    public void Free()
    {
        NativeMemory.Free(_block);
        _block = null;
    }

    /// <summary>Data that is kept, valid until the next call.</summary>
    public readonly ReadOnlySpan<byte> Opened => _block == null ? default : OpenedBytes;

    /// <summary>Records that are kept, valid until the next call.</summary>
    public readonly ReadOnlySpan<byte> Received => _block == null ? default : ReceivedBytes;

    private readonly Span<byte> OpenedBytes => new(_block + 1, _block->Opened);

    private readonly Span<byte> ReceivedBytes => new((byte*)(_block + 1) + _block->Opened, _block->Received);

    /// <summary>What stands before the bytes: how many there are.</summary>
    private struct Block
    {
        public int Opened;
        public int Received;
    }
}
