using Megaphone.Xmpp;

namespace Megaphone.Web;

/// <summary>Goes through the attributes of a tag of which <see cref="PieceLexer"/> has found the end.</summary>
internal ref struct TagAttributes
{
    private ReadOnlySpan<byte> _rest;

    /// <param name="tag">From <c>&lt;</c> to <c>&gt;</c>.</param>
    public TagAttributes(ReadOnlySpan<byte> tag)
    {
        ReadOnlySpan<byte> inner = tag[(1 + XmlTag.Name(tag).Length)..^1];
        _rest = inner.EndsWith((byte)'/') ? inner[..^1] : inner;
    }

    /// <summary>The current attribute's name, with its prefix.</summary>
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>Its value with the quotes around it, as it was written.</summary>
    public ReadOnlySpan<byte> Quoted { get; private set; }

    /// <summary>Its value as it was written.</summary>
    public readonly ReadOnlySpan<byte> Value => Quoted[1..^1];

    /// <summary>Whether something is no attribute: there is no next one.</summary>
    public bool IsMalformed { get; private set; }

    /// <summary>Goes to the next attribute.</summary>
    /// <returns>False when there is none, or when it is malformed.</returns>
    public bool Next()
    {
        int space = XmlBytes.CountWhiteSpace(_rest);
        ReadOnlySpan<byte> rest = _rest[space..];
        if (rest.IsEmpty || IsMalformed) return false;
        int equals = rest.IndexOf((byte)'=');
        IsMalformed = space == 0 || equals <= 0;
        if (IsMalformed) return false;
        Name = rest[..equals].TrimEnd(XmlBytes.WhiteSpace);
        ReadOnlySpan<byte> value = rest[(equals + 1)..].TrimStart(XmlBytes.WhiteSpace);
        int length = value.IsEmpty || value[0] is not ((byte)'"' or (byte)'\'') ? -1 : value[1..].IndexOf(value[0]);
        IsMalformed = length < 0 || Name.IsEmpty || !XmlBytes.MayBeginName(Name[0]) || Name.ContainsAny(XmlBytes.WhiteSpace)
            || Name.ContainsAny((byte)'"', (byte)'\'');
        if (IsMalformed) return false;
        Quoted = value[..(length + 2)];
        _rest = value[(length + 2)..];
        return true;
    }
}
