using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Handover;

/// <summary>Writes the state of a process that hands everything over to its next image, in the order in which that reads it.</summary>
/// <remarks>Plain data is written as it lies in memory: both images run on one machine. Not thread-safe.</remarks>
/// <param name="into">Where it goes, from the position that it has.</param>
internal sealed unsafe class StateWriter(Stream into) : IDisposable
{
    /// <summary>In whole words, in which the checksum goes on.</summary>
    private const int BufferBytes = 256 << 10;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private int _count;

    /// <summary>Bytes written.</summary>
    public long Length { get; private set; }

    /// <summary>Of what was written, after <see cref="Finish"/>.</summary>
    public uint Checksum { get; private set; } = StateFile.ChecksumSeed;

    /// <summary>The descriptors that go with the state.</summary>
    public DescriptorSet Descriptors { get; } = new();

    /// <summary>Writes plain data. What holds addresses is not.</summary>
    public void Write<T>(in T value)
        where T : unmanaged
    {
        if (BufferBytes - _count >= sizeof(T))
        {
            Unsafe.WriteUnaligned(ref _buffer[_count], value);
            _count += sizeof(T);
            return;
        }

        WriteRaw(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
    }

    /// <summary>Writes how many bytes there are, and the bytes.</summary>
    public void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        Write(bytes.Length);
        WriteRaw(bytes);
    }

    /// <summary>Writes a text; null is none.</summary>
    public void WriteText(string? text)
    {
        if (text is null) Write(-1);
        else WriteBytes(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Writes a descriptor that goes with the state, though an exec would close it; below 0: none.</summary>
    public void WriteDescriptor(int descriptor)
    {
        Write(descriptor);
        HandOver(descriptor);
        if (descriptor >= 0) Descriptors.ClosedOnExec.Add(descriptor);
    }

    /// <summary>Has a descriptor go with the state that has been written as a part of something else, and that no exec closes; below 0:
    /// none.</summary>
    public void HandOver(int descriptor)
    {
        if (descriptor >= 0 && !Descriptors.TryAdd(descriptor))
            throw new StateException($"descriptor {descriptor} belongs to two");
    }

    /// <summary>Writes out what is left.</summary>
    public void Finish()
    {
        int words = (_count + sizeof(ulong) - 1) / sizeof(ulong);
        _buffer.AsSpan(_count, words * sizeof(ulong) - _count).Clear();
        Checksum = StateFile.ChecksumOf(_buffer.AsSpan(0, words * sizeof(ulong)), Checksum);
        Flush();
    }

    /// <summary>Zeroes the buffer: there are keys in it.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(_buffer);

    private void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int count = Math.Min(bytes.Length, BufferBytes - _count);
            bytes[..count].CopyTo(_buffer.AsSpan(_count));
            _count += count;
            bytes = bytes[count..];
            if (_count < BufferBytes) continue;
            Checksum = StateFile.ChecksumOf(_buffer, Checksum);
            Flush();
        }
    }

    private void Flush()
    {
        into.Write(_buffer, 0, _count);
        Length += _count;
        _count = 0;
    }
}
