using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Megaphone.Xmpp;

/// <summary>The positions of the significant bytes among 64: bit <c>i</c> is byte <c>i</c>.</summary>
internal struct MarkupMasks
{
    /// <summary>The number of bytes that are scanned together.</summary>
    public const int Size = 64;

    /// <summary><c>&lt;</c>: significant in content.</summary>
    public ulong Less;

    /// <summary><c>"</c> and <c>&lt;</c>: significant in a value in double quotes.</summary>
    public ulong DoubleQuoteOrLess;

    /// <summary><c>'</c> and <c>&lt;</c>: significant in a value in single quotes.</summary>
    public ulong SingleQuoteOrLess;

    /// <summary><c>&lt; &gt; / " '</c>: significant in a tag.</summary>
    public ulong Tag;

    /// <summary>Scans 64 bytes, with vectors of 128 bits, which every x86-64 processor has.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(ref byte source, out MarkupMasks masks)
    {
        masks = default;
        for (int i = 0; i < Size; i += Vector128<byte>.Count)
        {
            Vector128<byte> bytes = Vector128.LoadUnsafe(ref source, (nuint)i);
            Vector128<byte> less = Vector128.Equals(bytes, Vector128.Create((byte)'<'));
            Vector128<byte> doubles = Vector128.Equals(bytes, Vector128.Create((byte)'"')) | less;
            Vector128<byte> singles = Vector128.Equals(bytes, Vector128.Create((byte)'\'')) | less;
            Vector128<byte> others =
                Vector128.Equals(bytes, Vector128.Create((byte)'>')) | Vector128.Equals(bytes, Vector128.Create((byte)'/'));
            masks.Less |= (ulong)less.ExtractMostSignificantBits() << i;
            masks.DoubleQuoteOrLess |= (ulong)doubles.ExtractMostSignificantBits() << i;
            masks.SingleQuoteOrLess |= (ulong)singles.ExtractMostSignificantBits() << i;
            masks.Tag |= (ulong)(doubles | singles | others).ExtractMostSignificantBits() << i;
        }
    }
}
