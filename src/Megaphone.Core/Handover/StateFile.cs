using System.Numerics;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Microsoft.Win32.SafeHandles;

namespace Megaphone.Handover;

/// <summary>The memory file (memfd_create(2)) in which a process leaves its state to its next image: a header, and what rooms have written.</summary>
internal static unsafe class StateFile
{
    /// <summary>The number of the layout. docs/decisions/0022 says when it changes.</summary>
    public const int Layout = 8;

    /// <summary>What a checksum begins with.</summary>
    public const uint ChecksumSeed = 0x4D_45_47_41;

    private const ulong Magic = 0x31_45_54_41_54_53_50_4D;

    /// <summary>Writes a state into a new memory file, which the calling process keeps until the exec.</summary>
    /// <param name="write">Writes it.</param>
    /// <param name="descriptors">Those that go with it, the file's own among them.</param>
    /// <returns>The file's descriptor.</returns>
    /// <exception cref="IOException">There is no memory for it.</exception>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    public static int Write(Action<StateWriter> write, out DescriptorSet descriptors)
    {
        int descriptor = Create("megaphone-state");
        try
        {
            descriptors = Write(descriptor, write);
            return descriptor;
        }
        catch
        {
            _ = Libc.Close(descriptor);
            throw;
        }
    }

    /// <summary>Writes a state into a memory file in the place of what is in there.</summary>
    /// <returns>The descriptors that go with it.</returns>
    /// <exception cref="IOException">There is no memory for it, or it is no file.</exception>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    public static DescriptorSet Write(int descriptor, Action<StateWriter> write)
    {
        using SafeFileHandle handle = new(descriptor, ownsHandle: false);
        using FileStream file = new(handle, FileAccess.ReadWrite, bufferSize: 0);
        using StateWriter writer = new(file);
        file.SetLength(0);
        file.Position = sizeof(Header);
        write(writer);
        writer.Finish();
        Header header = new() { Magic = Magic, Layout = Layout, Checksum = writer.Checksum, Length = writer.Length };
        file.Position = 0;
        file.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<Header>(in header)));
        return writer.Descriptors;
    }

    /// <summary>Makes an empty memory file, which an exec closes.</summary>
    /// <exception cref="IOException">The kernel gives none.</exception>
    public static int Create(string name)
    {
        int descriptor = Libc.CreateMemoryFile(name, Libc.MemoryFileCloseOnExec);
        return descriptor >= 0 ? descriptor : throw new IOException($"memfd_create: {Libc.Describe(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>Closes a memory file, if there is one.</summary>
    public static void Close(int descriptor)
    {
        if (descriptor >= 0) _ = Libc.Close(descriptor);
    }

    /// <summary>Reads a state.</summary>
    /// <param name="descriptor">The memory file, which stays the caller's.</param>
    /// <param name="read">Reads it, to its end.</param>
    /// <exception cref="StateException">It is not what was written, or of another layout, or <paramref name="read"/> refuses it.</exception>
    public static void Read(int descriptor, Action<StateReader> read)
    {
        using SafeFileHandle handle = new(descriptor, ownsHandle: false);
        long length = RandomAccess.GetLength(handle);
        if (length < sizeof(Header)) throw new StateException("the state has no header");
        byte* start = (byte*)Libc.Map(null, (nuint)length, Libc.ProtRead, Libc.MapPrivate, descriptor, 0);
        if ((nint)start == -1) throw new StateException($"the state cannot be read: {Libc.Describe(Marshal.GetLastPInvokeError())}");
        try
        {
            Read(start, length, read);
        }
        finally
        {
            _ = Libc.Unmap(start, (nuint)length);
        }
    }

    /// <summary>Reads a state that lies in memory.</summary>
    public static void Read(byte* start, long length, Action<StateReader> read)
    {
        if (length < sizeof(Header)) throw new StateException("the state has no header");
        Header header = *(Header*)start;
        if (header.Magic != Magic) throw new StateException("what was handed over is no state");
        if (header.Layout != Layout) throw new StateException($"the state has layout {header.Layout}, and this version knows {Layout}");
        if (header.Length != length - sizeof(Header)) throw new StateException("the state has another length than its header says");
        if (header.Checksum != ChecksumOf(start + sizeof(Header), header.Length)) throw new StateException("the state's checksum is wrong");
        StateReader reader = new(start + sizeof(Header), header.Length);
        read(reader);
        if (!reader.IsAtEnd) throw new StateException("the state is longer than what it holds");
    }

    /// <summary>Goes on with a checksum: CRC-32C, word by word.</summary>
    /// <param name="words">Whole words.</param>
    /// <param name="before">The checksum of what comes before them.</param>
    public static uint ChecksumOf(ReadOnlySpan<byte> words, uint before)
    {
        uint checksum = before;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(words)) checksum = BitOperations.Crc32C(checksum, word);
        return checksum;
    }

    private static uint ChecksumOf(byte* start, long length)
    {
        const int Part = 1 << 20;
        uint checksum = ChecksumSeed;
        for (; length >= Part; start += Part, length -= Part) checksum = ChecksumOf(new ReadOnlySpan<byte>(start, Part), checksum);
        Span<byte> last = new byte[(length + sizeof(ulong) - 1) / sizeof(ulong) * sizeof(ulong)];
        new ReadOnlySpan<byte>(start, (int)length).CopyTo(last);
        return ChecksumOf(last, checksum);
    }

    private struct Header
    {
        public ulong Magic;
        public int Layout;
        public uint Checksum;
        public long Length;
    }
}
