using System.Buffers;
using System.Runtime.CompilerServices;

namespace Megaphone.Xmpp;

/// <summary>The bytes that XML gives a meaning to.</summary>
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
    /// Whether a name may begin with it. Of what is not ASCII every byte is taken: whether it is right, the server's parser knows.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayBeginName(byte value) =>
        (uint)((value | 0x20) - 'a') <= 'z' - 'a' || value is (byte)'_' or (byte)':' or >= 0x80;

    /// <summary>Where white space at the front ends; the whole length when there is nothing else.</summary>
    public static int CountWhiteSpace(ReadOnlySpan<byte> bytes)
    {
        int index = bytes.IndexOfAnyExcept(WhiteSpaceValues);
        return index < 0 ? bytes.Length : index;
    }

    /// <summary>Whether a name stands at the front, with whatever prefix, that is <c>stream</c>.</summary>
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
