using System.Text;

namespace Megaphone.Xmpp;

/// <summary>Checks an XML declaration, which is dropped here and so never reaches the server's parser.</summary>
/// <remarks>
/// XML 1.0, productions 23 to 26, 32 and 80:
/// <code>
/// &lt;?xml version="1.0" [encoding="UTF-8"] [standalone="yes|no"] ?&gt;
/// </code>
/// </remarks>
internal static class XmlDeclaration
{
    /// <summary>Checks a declaration.</summary>
    /// <param name="declaration">From <c>&lt;?xml</c>, with white space after it, to <c>?&gt;</c>.</param>
    public static StreamFaultKind Check(ReadOnlySpan<byte> declaration)
    {
        ReadOnlySpan<byte> rest = declaration["<?xml".Length..^"?>".Length];
        if (!TryRemove(ref rest, "version"u8, out ReadOnlySpan<byte> version) || !version.SequenceEqual("1.0"u8))
            return StreamFaultKind.MalformedDeclaration;

        bool hasEncoding = TryRemove(ref rest, "encoding"u8, out ReadOnlySpan<byte> encoding);
        bool hasStandalone = TryRemove(ref rest, "standalone"u8, out ReadOnlySpan<byte> standalone);
        if (rest.Trim(XmlBytes.WhiteSpace).Length > 0
            || (hasStandalone && !standalone.SequenceEqual("yes"u8) && !standalone.SequenceEqual("no"u8)))
        {
            return StreamFaultKind.MalformedDeclaration;
        }

        return hasEncoding && !Ascii.EqualsIgnoreCase(encoding, "UTF-8"u8) ? StreamFaultKind.Encoding : StreamFaultKind.None;
    }

    /// <summary>Removes <c> name = "value"</c> from the front; if it is malformed it stays there for the caller to find.</summary>
    private static bool TryRemove(ref ReadOnlySpan<byte> rest, ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        value = default;
        ReadOnlySpan<byte> at = rest.TrimStart(XmlBytes.WhiteSpace);
        if (at.Length == rest.Length || !at.StartsWith(name)) return false;
        at = at[name.Length..].TrimStart(XmlBytes.WhiteSpace);
        if (!at.StartsWith((byte)'=')) return false;
        at = at[1..].TrimStart(XmlBytes.WhiteSpace);
        if (!at.StartsWith((byte)'"') && !at.StartsWith((byte)'\'')) return false;
        int length = at[1..].IndexOf(at[0]);
        if (length < 0) return false;
        value = at.Slice(1, length);
        rest = at[(length + 2)..];
        return true;
    }
}
