using System.Numerics;
using Megaphone.Xmpp;

namespace Megaphone.Web;

/// <summary>The buffers of web connections: they double as bytes arrive, up to a bound that the caller names each time.</summary>
/// <remarks>Thread-safe, if each connection is used by one thread at a time.</remarks>
/// <param name="memory">The memory for all of them.</param>
internal sealed unsafe class WebBuffer(PieceMemory memory)
{
    private const int SmallestBuffer = 256;

    /// <summary>What is in a connection's buffer; valid until the buffer changes.</summary>
    public static Span<byte> Content(scoped in WebState state) => new(state.Buffer, state.Used);

    /// <summary>The memory that a connection holds, in bytes.</summary>
    public static int HeldBy(in WebState state, int max) => CapacityFor(state.Used, max);

    /// <summary>Makes room for more bytes behind those in the buffer, which the caller counts when they are in.</summary>
    /// <returns>False when there is no memory; nothing has changed.</returns>
    public bool TryGrow(ref WebState state, int max, int more, out Span<byte> room)
    {
        room = default;
        int from = CapacityFor(state.Used, max), to = CapacityFor(state.Used + more, max);
        if (to > from && !memory.TryResize(ref state.Buffer, from, to, state.IsStranger)) return false;
        room = new Span<byte>(state.Buffer + state.Used, more);
        return true;
    }

    /// <summary>Adds bytes to a head or a message. Nothing may be <see cref="WebState.Pending"/>.</summary>
    /// <returns>False when there is no memory; nothing has changed.</returns>
    public bool TryAppend(ref WebState state, int max, ReadOnlySpan<byte> bytes)
    {
        if (!TryGrow(ref state, max, bytes.Length, out Span<byte> room)) return false;
        bytes.CopyTo(room);
        state.Length += bytes.Length;
        return true;
    }

    /// <summary>Gives a state that came without its memory a copy of what it held.</summary>
    /// <returns>False when something else was held; then nothing is.</returns>
    public bool TryRestore(ref WebState state, int max, ReadOnlySpan<byte> held)
    {
        (int length, byte pending) = (state.Length, state.Pending);
        state.Buffer = null;
        (state.Length, state.Pending) = (0, 0);
        if (length < 0 || length + (long)pending != held.Length || held.Length > max) return false;
        (state.Length, state.Pending) = (length, pending);
        if (held.IsEmpty) return true;
        state.Buffer = memory.Keep(CapacityFor(held.Length, max));
        held.CopyTo(Content(state));
        return true;
    }

    /// <summary>Frees a connection's buffer.</summary>
    public void Free(ref WebState state, int max)
    {
        if (state.Used > 0) memory.Free(ref state.Buffer, CapacityFor(state.Used, max));
        (state.Length, state.Pending) = (0, 0);
    }

    /// <summary>Shortens a buffer by the bytes that are pending at its end.</summary>
    public void DropPending(ref WebState state, int max)
    {
        if (state.Length == 0)
        {
            Free(ref state, max);
            return;
        }

        int from = CapacityFor(state.Used, max), to = CapacityFor(state.Length, max);
        state.Pending = 0;
        if (to < from) memory.TryResize(ref state.Buffer, from, to);
    }

    private static int CapacityFor(int length, int max) =>
        length == 0 ? 0 : Math.Min(max, (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(length, SmallestBuffer)));
}
