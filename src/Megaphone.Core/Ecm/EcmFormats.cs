using Megaphone.Protocol;
using Megaphone.Values;

namespace Megaphone.Ecm;

/// <summary>The formats of an ECM's settings that the load generator, which plays an ECM, has too.</summary>
internal static class EcmFormats
{
    /// <summary>Whether sessions begin with a PROXY header.</summary>
    public static ValueFormat<ProxyMode> Proxy { get; } =
        ValueFormats.Choice(("none", ProxyMode.None), ("v1", ProxyMode.V1), ("v2", ProxyMode.V2)) with { Example = "v2" };

    /// <summary>What packets of a session carry.</summary>
    public static ValueFormat<LinkFraming> Framing { get; } = ValueFormats.Choice(
        (ControlNames.Of(LinkFraming.Bytes), LinkFraming.Bytes),
        (ControlNames.Of(LinkFraming.Stanza), LinkFraming.Stanza)) with
    {
        Example = "stanza",
    };

    /// <summary>The path of a URL, as it is written in a request.</summary>
    public static ValueFormat<string> UrlPath { get; } = new(ReadUrlPath, "/ws") { Form = "path" };

    private static string? ReadUrlPath(string text, out string value)
    {
        value = text;
        return text.StartsWith('/') && text.Length <= 1024 && !text.AsSpan().ContainsAnyExceptInRange('!', '~') && text.IndexOfAny(['?', '#']) < 0
            ? null
            : "must begin with a slash and be as clients write it in their URL, up to ? and #";
    }
}
