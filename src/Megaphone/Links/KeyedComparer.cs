using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Links;

/// <summary>Hashes numbers that a peer chooses with keys that it cannot know: of no set of them can it know that they collide.</summary>
/// <remarks>
/// <para>A <see cref="ulong"/> hashes to the xor of its halves otherwise, so that all of <c>x &lt;&lt; 32 | x</c> share one bucket.</para>
/// <para>The hash is pair-multiply-shift (M. Thorup, High Speed Hashing for Integers and Strings, section 3): with 64-bit arithmetic
/// and keys of 64 random bits it is strongly universal for two halves of 32 bits, so two numbers collide with a probability of
/// 2⁻³², whoever chose them. That counts the keys with which a factor is 0 for some number. It takes one multiplication of 64 bits; the
/// upper half of a product of 128 is a call on processors that the binary must also run on. Thread-safe.</para>
/// </remarks>
internal sealed class KeyedComparer : IEqualityComparer<ulong>
{
    /// <summary>The process's: one set of keys does for all tables.</summary>
    public static readonly KeyedComparer Instance = new();

    private readonly ulong _low;
    private readonly ulong _high;
    private readonly ulong _sum;

    private KeyedComparer()
    {
        Span<ulong> keys = stackalloc ulong[3];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(keys));
        (_low, _high, _sum) = (keys[0], keys[1], keys[2]);
    }

    /// <inheritdoc/>
    public bool Equals(ulong x, ulong y) => x == y;

    /// <inheritdoc/>
    public int GetHashCode(ulong number) => (int)((((_low + (uint)number) * (_high + (number >> 32))) + _sum) >> 32);
}
