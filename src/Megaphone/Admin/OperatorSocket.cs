using System.Net.Sockets;
using Megaphone.Unix;

namespace Megaphone.Admin;

/// <summary>The Unix socket over which operators ask the service and give it orders: whoever may write to its file may.</summary>
internal static class OperatorSocket
{
    private static readonly string Fix = "choose a path in a folder that the service may write to, for example /run/megaphone/admin.sock";

    /// <summary>Binds it. A socket that an earlier process has left, which nobody listens on, goes.</summary>
    /// <exception cref="IOException">It cannot be bound; the message says why, and what to do.</exception>
    public static Socket Bind(string path)
    {
        if (FindObstacle(path) is { } obstacle) throw new IOException(obstacle);
        UnixPath.Remove(path);
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
            return socket;
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new IOException($"{error.Message}; {Fix}", error);
        }
    }

    /// <summary>What keeps a path from being bound, as far as can be known without doing it; null: nothing.</summary>
    public static string? FindObstacle(string path) => UnixPath.FindObstacle(path) is { } obstacle ? $"{obstacle.Reason}; {Fix}" : null;

    /// <summary>Removes its file, if it can be, whoever listens.</summary>
    public static void Remove(string path)
    {
        try
        {
            if (UnixPath.IsSocket(path)) File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The next process that binds it finds that nobody listens.
        }
    }
}
