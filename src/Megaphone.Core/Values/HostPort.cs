using System.Net;

namespace Megaphone.Values;

/// <summary>A host, by name or address, and a port: <c>example.org:6280</c>, <c>127.0.0.1:0</c>, <c>[::1]:6280</c>.</summary>
/// <param name="Host">A name or an address, an IPv6 address without its brackets.</param>
/// <param name="Port">0 to 65535.</param>
internal sealed record HostPort(string Host, int Port)
{
    /// <summary>Parses <c>HOST:PORT</c>; IPv6 addresses are in brackets.</summary>
    public static bool TryParse(string? text, out HostPort? value)
    {
        value = null;
        if (string.IsNullOrEmpty(text)) return false;

        int colon = text.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(text.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out ushort port))
            return false;

        string host = text[..colon];
        if (host[0] == '[')
        {
            if (host[^1] != ']' || !IPAddress.TryParse(host[1..^1], out _)) return false;
            host = host[1..^1];
        }
        else if (host.Contains(':') || host.Any(char.IsWhiteSpace))
        {
            return false;
        }

        value = new HostPort(host, port);
        return true;
    }

    /// <summary>The host as an address, or null when it is a name.</summary>
    public IPAddress? Address => IPAddress.TryParse(Host, out IPAddress? address) ? address : null;

    /// <summary>Whether the host is <c>*</c>, all addresses of this machine: to listen on, and not to connect to.</summary>
    public bool IsAll => Host == "*";

    /// <inheritdoc/>
    public override string ToString() => Host.Contains(':') ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
