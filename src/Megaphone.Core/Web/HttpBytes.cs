using System.Buffers;
using System.Text;

namespace Megaphone.Web;

/// <summary>The character classes and lists of HTTP (RFC 9110, section 5) that are needed here.</summary>
internal static class HttpBytes
{
    private static readonly SearchValues<byte> TokenCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> NotInValues = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Where(control => control != '\t').Select(control => (byte)control), 0x7F]);

    /// <summary>White space within a line.</summary>
    public static ReadOnlySpan<byte> WhiteSpace => " \t"u8;

    /// <summary>Whether it is a token: one character at least, and none that separates.</summary>
    public static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && !text.ContainsAnyExcept(TokenCharacters);

    /// <summary>Whether a field may have this value: no control characters but tabs.</summary>
    public static bool IsValue(ReadOnlySpan<byte> text) => !text.ContainsAny(NotInValues);

    /// <summary>Whether a list, <c>a, b</c>, has a member.</summary>
    public static bool ListHas(ReadOnlySpan<byte> list, ReadOnlySpan<byte> member, bool ignoreCase)
    {
        while (true)
        {
            int comma = list.IndexOf((byte)',');
            ReadOnlySpan<byte> one = (comma < 0 ? list : list[..comma]).Trim(WhiteSpace);
            if (ignoreCase ? Ascii.EqualsIgnoreCase(one, member) : one.SequenceEqual(member)) return true;
            if (comma < 0) return false;
            list = list[(comma + 1)..];
        }
    }
}
