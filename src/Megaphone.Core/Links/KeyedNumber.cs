using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Links;

/// <summary>
/// A number that a peer chooses, as the key of a hash table: hashed with secret random keys, so that the peer cannot find numbers that
/// collide.
/// </summary>
/// <remarks>
/// <para>The hash code of a <see cref="ulong"/> is the xor of its halves: all <c>x &lt;&lt; 32 | x</c> share one bucket.</para>
/// <para>The hash is pair-multiply-shift (M. Thorup, High Speed Hashing for Integers and Strings, section 3): with 64-bit arithmetic
/// and keys of 64 random bits it is strongly universal for two halves of 32 bits, so two numbers collide with a probability of
/// 2⁻³², whoever chose them. That counts the keys with which a factor is 0 for some number. It takes one multiplication of 64 bits; the
/// upper half of a product of 128 is a call on processors that the binary must also run on.</para>
/// <para>It is a type rather than a comparer, because tables call a comparer through an interface for each lookup.</para>
/// </remarks>
/// <param name="Number">The number.</param>
internal readonly record struct KeyedNumber(ulong Number)
{
    // One set of keys serves all tables of the process.
    private static readonly ulong Low, High, Sum;

    static KeyedNumber()
    {
        Span<ulong> keys = stackalloc ulong[3];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(keys));
        (Low, High, Sum) = (keys[0], keys[1], keys[2]);
    }

    /// <inheritdoc/>
    public override int GetHashCode() => (int)((((Low + (uint)Number) * (High + (Number >> 32))) + Sum) >> 32);
}
