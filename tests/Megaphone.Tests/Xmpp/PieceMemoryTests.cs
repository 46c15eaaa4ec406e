using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Xmpp;

/// <summary>The memory of incomplete pieces, its bound, and who finds room when it is nearly used up.</summary>
public sealed unsafe class PieceMemoryTests
{
    private const int Kilo = 1024;

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

    [Fact]
    public void Strangers_get_half_long_pieces_leave_the_reserve_and_short_ones_get_all()
    {
        PieceMemory memory = new(1000 * Kilo, reserve: 250 * Kilo);
        byte* strangers = null, longPiece = null, shortPiece = null, more = null;
        Assert.True(memory.TryResize(ref strangers, 0, 480 * Kilo, isStranger: true));
        Assert.False(memory.IsScarce);
        Assert.True(memory.TryResize(ref strangers, 480 * Kilo, 500 * Kilo, isStranger: true));
        Assert.True(memory.IsScarce);
        Assert.False(memory.TryResize(ref more, 0, 2 * Kilo, isStranger: true));

        // As much as a login takes, up to an eighth more.
        Assert.True(memory.TryResize(ref more, 0, Kilo, isStranger: true));
        Assert.True(memory.TryResize(ref shortPiece, 0, 124 * Kilo));
        byte* login = null;
        Assert.False(memory.TryResize(ref login, 0, Kilo, isStranger: true));
        memory.Free(ref shortPiece, 124 * Kilo);
        memory.Free(ref more, Kilo);

        Assert.True(memory.TryResize(ref longPiece, 0, 250 * Kilo));
        Assert.False(memory.TryResize(ref more, 0, 17 * Kilo));
        Assert.True(memory.TryResize(ref shortPiece, 0, 16 * Kilo));
        Assert.True(memory.TryResize(ref more, 0, 16 * Kilo));
        Assert.Equal(782 * Kilo, memory.InUse);

        memory.Free(ref more, 16 * Kilo);
        memory.Free(ref strangers, 500 * Kilo);
        memory.Free(ref longPiece, 250 * Kilo);
        memory.Free(ref shortPiece, 16 * Kilo);
        Assert.Equal(0, memory.InUse);
        Assert.False(memory.IsScarce);
    }

    [Fact]
    public void What_was_there_before_a_reload_is_kept_where_the_bound_is_lower_now()
    {
        PieceMemory memory = new(10 * Kilo);
        StreamSplitter splitter = new(memory);
        StreamState stream = new() { Lexer = LexerState.Text, Depth = 1, Offset = 20 * Kilo, IsStranger = true };
        byte[] held = new byte[12 * Kilo];
        Assert.True(splitter.TryRestore(ref stream, 64 * Kilo, held));
        Assert.Equal(held.Length, StreamSplitter.Held(stream).Length);
        Assert.Equal(16 * Kilo, memory.InUse);
        splitter.Release(ref stream, 64 * Kilo);
        Assert.Equal(0, memory.InUse);
    }
}
