using System.Buffers;

namespace Megaphone.Xmpp;

/// <summary>Parses the tag with which a piece of <see cref="StreamSplitter"/> begins. Allocates nothing.</summary>
internal static class XmlTag
{
    private static readonly SearchValues<byte> NameEnds = SearchValues.Create(" \t\r\n/>"u8);

    /// <summary>Its name, with its prefix.</summary>
    public static ReadOnlySpan<byte> Name(ReadOnlySpan<byte> piece)
    {
        ReadOnlySpan<byte> rest = piece[1..];
        int end = rest.IndexOfAny(NameEnds);
        return end < 0 ? rest : rest[..end];
    }

    /// <summary>Finds an attribute; its value is not unescaped.</summary>
    public static bool TryAttribute(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> rest = piece[(1 + Name(piece).Length)..];
        while (true)
        {
            value = default;
            int equals = rest.IndexOfAny((byte)'=', (byte)'>');
            if (equals < 0 || rest[equals] == '>') return false;
            ReadOnlySpan<byte> found = rest[..equals].Trim(XmlBytes.WhiteSpace);
            rest = rest[(equals + 1)..].TrimStart(XmlBytes.WhiteSpace);
            if (rest.IsEmpty || rest[0] is not ((byte)'"' or (byte)'\'')) return false;
            int length = rest[1..].IndexOf(rest[0]);
            if (length < 0) return false;
            value = rest.Slice(1, length);
            if (found.SequenceEqual(name)) return true;
            rest = rest[(length + 2)..];
        }
    }
}
