using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.Unix;

/// <summary>The path of a Unix socket, written <c>unix:/run/megaphone/clients.sock</c>.</summary>
internal sealed class UnixEndPoint : EndPoint
{
    /// <summary>What it begins with, as nginx and HAProxy write it.</summary>
    public const string Prefix = "unix:";

    /// <summary>The bytes of a path that there is room for: unix(7).</summary>
    public const int LongestPath = 107;

    private UnixEndPoint(string path) => Path = path;

    /// <summary>The full path of the socket's file.</summary>
    public string Path { get; }

    /// <inheritdoc/>
    public override AddressFamily AddressFamily => AddressFamily.Unix;

    /// <summary>Reads <c>unix:/PATH</c>.</summary>
    /// <returns>Null: that is no full path, or a longer one than there can be.</returns>
    public static UnixEndPoint? Parse(string text)
    {
        if (!text.StartsWith(Prefix, StringComparison.Ordinal)) return null;
        string path = text[Prefix.Length..];
        bool isFile = System.IO.Path.IsPathFullyQualified(path) && !path.EndsWith('/') && !path.Contains('\0');
        return isFile && Encoding.UTF8.GetByteCount(path) <= LongestPath ? new UnixEndPoint(System.IO.Path.GetFullPath(path)) : null;
    }

    /// <summary>Reads the path of a Unix socket, or an address of IP with a port.</summary>
    /// <returns>Null: it is neither.</returns>
    public static EndPoint? ParseAny(string text) => Parse(text) ?? (IPEndPoint.TryParse(text, out IPEndPoint? address) ? address : (EndPoint?)null);

    /// <summary>The same as the runtime's sockets want it.</summary>
    public UnixDomainSocketEndPoint ForSocket() => new(Path);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is UnixEndPoint other && other.Path == Path;

    /// <inheritdoc/>
    public override int GetHashCode() => Path.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc/>
    public override string ToString() => Prefix + Path;
}
