using System.Buffers;
using System.Globalization;

namespace Megaphone.Tls;

/// <summary>Names of hosts, as certificates and clients write them.</summary>
internal static class HostName
{
    /// <summary>RFC 1035, section 2.3.4: 255 octets on the wire, which are 253 characters.</summary>
    private const int LongestName = 253;
    private const int LongestLabel = 63;
    private const string Wildcard = "*.";

    /// <summary>What labels are made of (RFC 952, RFC 1123). The underscore is in none by the rules, and in some that people use.</summary>
    private static readonly SearchValues<char> LabelCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-_");
    private static readonly IdnMapping Idn = new();

    /// <summary>
    /// The form in which names are compared: ASCII, in lower case, without the root's dot; what is not ASCII becomes A-labels (RFC 5890).
    /// Null when it is no name that a host can have, so whatever comes out has no meaning in XML, in a log, or anywhere else.
    /// </summary>
    public static string? Normalize(string name)
    {
        string trimmed = name.EndsWith('.') ? name[..^1] : name;
        if (trimmed.Length is 0 or > LongestName) return null;
        try
        {
            string ascii = (System.Text.Ascii.IsValid(trimmed) ? trimmed : Idn.GetAscii(trimmed)).ToLowerInvariant();
            return IsName(ascii) ? ascii : null;
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>The same for a certificate's name, which may have a wildcard as its first label.</summary>
    public static string? NormalizePattern(string pattern) =>
        !pattern.StartsWith(Wildcard, StringComparison.Ordinal) ? Normalize(pattern)
        : Normalize(pattern[Wildcard.Length..]) is { } rest ? Wildcard + rest
        : null;

    /// <summary>
    /// Whether a certificate's name covers a host's (RFC 6125, section 6.4.3): a wildcard is a whole label, the first one, and
    /// stands for exactly one. Both normalized.
    /// </summary>
    public static bool Covers(string pattern, string host) =>
        pattern == host || (pattern.StartsWith(Wildcard, StringComparison.Ordinal) && WildcardOf(host) == pattern);

    /// <summary>The wildcard that covers a host: its name with <c>*</c> as the first label; null when it has one label only.</summary>
    public static string? WildcardOf(string host)
    {
        int dot = host.IndexOf('.');
        return dot <= 0 ? null : string.Concat("*", host.AsSpan(dot));
    }

    private static bool IsName(string ascii)
    {
        if (ascii.Length > LongestName) return false;
        foreach (Range part in ascii.AsSpan().Split('.'))
        {
            ReadOnlySpan<char> label = ascii.AsSpan(part);
            if (label.Length is 0 or > LongestLabel || label.ContainsAnyExcept(LabelCharacters)) return false;
        }

        return true;
    }
}
