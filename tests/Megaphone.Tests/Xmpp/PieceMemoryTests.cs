using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Xmpp;

/// <summary>The memory of incomplete pieces, and its bound.</summary>
public unsafe class PieceMemoryTests
{
    [Fact]
    public void A_buffer_that_would_exceed_the_bound_is_left_as_it_is()
    {
        PieceMemory memory = new(1000);
        byte* buffer = null;
        Assert.True(memory.TryResize(ref buffer, 0, 600));
        byte* first = buffer;
        Assert.False(memory.TryResize(ref buffer, 600, 1001));
        Assert.True(buffer == first);
        Assert.Equal(600, memory.InUse);
        Assert.True(memory.TryResize(ref buffer, 600, 1000));
        memory.Free(ref buffer, 1000);
        Assert.True(buffer == null);
        Assert.Equal(0, memory.InUse);
    }

    /// <summary>While other threads ask for what there is not, the sum is above the bound for a moment.</summary>
    [Fact]
    public void A_buffer_is_shortened_whatever_others_ask_for()
    {
        PieceMemory memory = new(1024);
        using CancellationTokenSource over = new();
        Thread greedy = new(() =>
        {
            byte* none = null;
            while (!over.IsCancellationRequested) Assert.False(memory.TryResize(ref none, 0, 2048));
        });
        greedy.Start();
        bool areShortened = true;
        for (int i = 0; i < 5_000; i++)
        {
            byte* buffer = null;
            while (!memory.TryResize(ref buffer, 0, 512)) Thread.SpinWait(1);
            areShortened &= memory.TryResize(ref buffer, 512, 256);
            memory.Free(ref buffer, 256);
        }

        over.Cancel();
        greedy.Join();
        Assert.True(areShortened);
        Assert.Equal(0, memory.InUse);
    }
}
