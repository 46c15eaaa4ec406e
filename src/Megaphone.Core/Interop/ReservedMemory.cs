using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>Address space in which memory appears, zeroed, where it is touched, and from which it can be given back.</summary>
/// <remarks>
/// Reserving costs nothing, unless the kernel counts what it promises (vm.overcommit_memory=2). No part may be used while it is being
/// given back.
/// </remarks>
internal sealed unsafe class ReservedMemory : IDisposable
{
    private readonly nuint _bytes;
    private byte* _start;

    /// <summary>Reserves address space.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="isSecret">Whether it is to be left out of core dumps.</param>
    /// <exception cref="IOException">The kernel does not allow so much; the message says how much.</exception>
    public ReservedMemory(nuint bytes, bool isSecret = false)
    {
        _bytes = Math.Max(bytes, 1);
        void* start = Libc.Map(
            null, _bytes, Libc.ProtRead | Libc.ProtWrite, Libc.MapPrivate | Libc.MapAnonymous | Libc.MapNoReserve, -1, 0);
        if ((nint)start == -1)
        {
            string error = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
            throw new IOException($"cannot reserve {_bytes >> 20:N0} MiB of address space: {error}");
        }

        _start = (byte*)start;

        // A huge page for a handful of connections would be two MiB. A kernel without huge pages refuses this, which does not matter.
        _ = Libc.Advise(_start, _bytes, Libc.AdviseNoHugePage);
        if (isSecret) _ = Libc.Advise(_start, _bytes, Libc.AdviseDoNotDump);
    }

    /// <summary>Where it begins: at a page.</summary>
    public byte* Start => _start;

    /// <summary>Zeroes a part, and gives its memory back until it is touched again.</summary>
    /// <param name="offset">Where it begins, in bytes. Only whole pages are given back.</param>
    /// <param name="count">How long it is, in bytes.</param>
    public void GiveBack(nuint offset, nuint count)
    {
        // Memory that is locked stays.
        nuint page = (nuint)Environment.SystemPageSize;
        bool pages = offset % page == 0 && count % page == 0;
        if (!pages || Libc.Advise(_start + offset, count, Libc.AdviseDontNeed) != 0) NativeMemory.Clear(_start + offset, count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_start != null) _ = Libc.Unmap(_start, _bytes);
        _start = null;
    }
}
