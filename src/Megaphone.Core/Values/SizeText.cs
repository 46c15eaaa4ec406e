using System.Globalization;

namespace Megaphone.Values;

/// <summary>The text form of numbers of bytes: <c>500</c>, <c>64K</c>, <c>16M</c>, <c>1G</c>, in powers of two.</summary>
internal static class SizeText
{
    /// <summary>The largest one first.</summary>
    private static readonly (char Name, int Bits)[] Units = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

    /// <summary>Parses a number of bytes.</summary>
    public static bool TryParse(string text, out long value)
    {
        int bits = Array.Find(Units, unit => text.EndsWith(unit.Name)).Bits;
        ReadOnlySpan<char> digits = text.AsSpan(0, text.Length - (bits > 0 ? 1 : 0));
        bool isSize = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= long.MaxValue >> bits;
        value <<= bits;
        return isSize;
    }

    /// <summary>A number of bytes in the largest unit that divides it.</summary>
    public static string Of(long bytes)
    {
        (char name, int bits) = Array.Find(Units, unit => bytes != 0 && bytes % (1L << unit.Bits) == 0);
        return string.Create(CultureInfo.InvariantCulture, $"{bytes >> bits}{(bits > 0 ? name : "")}");
    }
}
