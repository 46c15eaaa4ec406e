using System.Globalization;

namespace Megaphone.Tls;

/// <summary>Names of hosts, as certificates and clients write them.</summary>
internal static class HostName
{
    private const int LongestName = 255;
    private static readonly IdnMapping Idn = new();

    /// <summary>
    /// The form in which names are compared: ASCII, in lower case, without the root's dot. Null when it is no name.
    /// </summary>
    public static string? Normalize(string name)
    {
        string trimmed = name.EndsWith('.') ? name[..^1] : name;
        if (trimmed.Length is 0 or > LongestName) return null;
        try
        {
            return (Ascii(trimmed) ? trimmed : Idn.GetAscii(trimmed)).ToLowerInvariant();
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether a certificate's name covers a host's (RFC 6125, section 6.4.3): a wildcard is a whole label, the first one, and
    /// stands for exactly one. Both normalized.
    /// </summary>
    public static bool Covers(string pattern, string host) =>
        pattern == host || (pattern.StartsWith("*.", StringComparison.Ordinal) && WildcardOf(host) == pattern);

    /// <summary>The wildcard that covers a host: its name with <c>*</c> as the first label; null when it has one label only.</summary>
    public static string? WildcardOf(string host)
    {
        int dot = host.IndexOf('.');
        return dot <= 0 ? null : string.Concat("*", host.AsSpan(dot));
    }

    private static bool Ascii(string text) => System.Text.Ascii.IsValid(text);
}
