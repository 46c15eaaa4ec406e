using System.Net;
using Megaphone.Unix;

namespace Megaphone.Values;

/// <summary>
/// A host, by name or address, and a port: <c>example.org:6280</c>, <c>127.0.0.1:0</c>, <c>[::1]:6280</c>; or <c>unix:/run/megaphone/links.sock</c>.
/// </summary>
/// <param name="Host">A name or an address, an IPv6 address without its brackets; of a Unix socket what is written for it.</param>
/// <param name="Port">0 to 65535; 0 for a Unix socket.</param>
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

    /// <summary>Where it is, if that need not be looked up; null when the host is a name.</summary>
    public EndPoint? Known => (EndPoint?)UnixEndPoint.Parse(Host) ?? (Address is { } address ? new IPEndPoint(address, Port) : null);

    /// <summary>Whether it is a Unix socket.</summary>
    public bool IsUnix => Host.StartsWith(UnixEndPoint.Prefix, StringComparison.Ordinal);

    /// <summary>Whether it is on another machine, as far as its address tells.</summary>
    public bool IsElsewhere => !IsUnix && (Address is { } address ? !IPAddress.IsLoopback(address) : Host != "localhost");

    /// <summary>Whether the host is <c>*</c>, all addresses of this machine: to listen on, and not to connect to.</summary>
    public bool IsAll => Host == "*";

    /// <inheritdoc/>
    public override string ToString() => IsUnix ? Host : Host.Contains(':') ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
