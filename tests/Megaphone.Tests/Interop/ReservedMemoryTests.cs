using System.Runtime.InteropServices;
using Megaphone.Interop;
using Xunit;

namespace Megaphone.Tests.Interop;

/// <summary>There is memory where it was touched, and nowhere else.</summary>
public unsafe class ReservedMemoryTests
{
    private const int Page = 4096;

    [Fact]
    public void A_part_that_is_given_back_is_zeroed_and_takes_no_memory()
    {
        using ReservedMemory memory = new(1000 * Page);
        Assert.Equal(0, Resident(memory));
        for (int page = 0; page < 1000; page++) memory.Start[page * Page] = 7;
        Assert.Equal(1000, Resident(memory));

        memory.GiveBack(100 * Page, 800 * Page);

        Assert.Equal(200, Resident(memory));
        Assert.Equal((7, 0, 0, 7), (memory.Start[99 * Page], memory.Start[100 * Page], memory.Start[899 * Page], memory.Start[900 * Page]));
    }

    [Fact]
    public void A_part_that_is_not_whole_pages_is_zeroed_as_well()
    {
        using ReservedMemory memory = new(2 * Page);
        new Span<byte>(memory.Start, 2 * Page).Fill(7);

        memory.GiveBack(10, Page);

        Assert.Equal((7, 0, 0, 7), (memory.Start[9], memory.Start[10], memory.Start[Page + 9], memory.Start[Page + 10]));
    }

    [Fact]
    public void More_than_the_kernel_allows_is_refused_in_words()
    {
        IOException error = Assert.Throws<IOException>(() => new ReservedMemory(nuint.MaxValue / 2));
        Assert.Contains("MiB of address space", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Pages that are there, as the kernel counts them.</summary>
    private static int Resident(ReservedMemory memory)
    {
        byte* pages = stackalloc byte[1000];
        Assert.Equal(0, InCore(memory.Start, 1000 * Page, pages));
        return new Span<byte>(pages, 1000).Count((byte)1);
    }

    [DllImport("libc", EntryPoint = "mincore")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int InCore(void* start, nuint length, byte* pages);
}
