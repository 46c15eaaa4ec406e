using System.Buffers;
using System.Runtime.CompilerServices;

namespace Megaphone.Xmpp;

/// <summary>The character classes of XML that are needed here.</summary>
internal static class XmlBytes
{
    private static readonly SearchValues<byte> WhiteSpaceValues = SearchValues.Create(WhiteSpace);
    private static readonly SearchValues<byte> NameEnds = SearchValues.Create(" \t\r\n/>"u8);

    /// <summary>White space (XML 1.0, production 3).</summary>
    public static ReadOnlySpan<byte> WhiteSpace => " \t\r\n"u8;

    /// <summary>Whether it is white space.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsWhiteSpace(byte value) => value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    /// <summary>
    /// Whether a name may begin with it. Any byte that is not ASCII is accepted: the server's parser checks those.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayBeginName(byte value) =>
        (uint)((value | 0x20) - 'a') <= 'z' - 'a' || value is (byte)'_' or (byte)':' or >= 0x80;

    /// <summary>The length of the white space at the front.</summary>
    public static int CountWhiteSpace(ReadOnlySpan<byte> bytes)
    {
        int index = bytes.IndexOfAnyExcept(WhiteSpaceValues);
        return index < 0 ? bytes.Length : index;
    }

    /// <summary>Whether the name at the front is <c>stream</c>, with any prefix.</summary>
    /// <param name="tag">A tag from its name on, to its <c>&gt;</c>.</param>
    /// <param name="after">What follows the name.</param>
    public static bool IsStream(ReadOnlySpan<byte> tag, out ReadOnlySpan<byte> after)
    {
        int length = tag.IndexOfAny(NameEnds);
        ReadOnlySpan<byte> name = tag[..length];
        after = tag[length..];
        return name[(name.IndexOf((byte)':') + 1)..].SequenceEqual("stream"u8);
    }
}
