using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Megaphone.Xmpp;

/// <summary>Where the bytes that matter stand among 64: bit <c>i</c> is byte <c>i</c>.</summary>
internal struct MarkupMasks
{
    /// <summary>Bytes looked at together.</summary>
    public const int Size = 64;

    /// <summary><c>&lt;</c>: all that matters in content.</summary>
    public ulong Less;

    /// <summary><c>"</c> and <c>&lt;</c>: all that matters in a value in double quotes.</summary>
    public ulong DoubleQuoteOrLess;

    /// <summary><c>'</c> and <c>&lt;</c>: all that matters in a value in single quotes.</summary>
    public ulong SingleQuoteOrLess;

    /// <summary><c>&lt; &gt; / " '</c>: all that matters in a tag.</summary>
    public ulong Tag;

    /// <summary>Looks at 64 bytes. In vectors of 128 bits, which every processor and every build has.</summary>
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
