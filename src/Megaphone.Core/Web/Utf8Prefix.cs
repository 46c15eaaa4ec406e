using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Megaphone.Web;

/// <summary>Finds that a text will not be UTF-8 as soon as that is certain: RFC 6455, section 8.1, without waiting for the message's end.</summary>
internal static class Utf8Prefix
{
    /// <summary>The most bytes of a character that is not complete.</summary>
    private const int MostIncomplete = 3;

    /// <summary>Whether a text that goes on may be UTF-8: its last character may be incomplete.</summary>
    /// <param name="text">What there is of it.</param>
    /// <param name="examined">How much of it an earlier call has found to be so.</param>
    public static bool IsValid(ReadOnlySpan<byte> text, int examined)
    {
        ReadOnlySpan<byte> rest = text[StartOfLast(text[..examined])..];
        int last = StartOfLast(rest);
        bool isIncomplete = Rune.DecodeFromUtf8(rest[last..], out _, out _) == OperationStatus.NeedMoreData;
        return Utf8.IsValid(isIncomplete ? rest[..last] : rest);
    }

    /// <summary>Where the last character begins, if it can be incomplete; else the text's end.</summary>
    private static int StartOfLast(ReadOnlySpan<byte> text)
    {
        for (int at = text.Length - 1; at >= 0 && at >= text.Length - MostIncomplete; at--)
        {
            bool isWithinCharacter = (text[at] & 0xC0) == 0x80;
            if (!isWithinCharacter) return at;
        }

        return text.Length;
    }
}
