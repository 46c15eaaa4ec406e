using System.Net.Sockets;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Unix;

/// <summary>The files of Unix sockets: who has one, and what is left of one that nobody has any more.</summary>
internal static unsafe class UnixPath
{
    private const int SocketLevel = 1, PeerCredentials = 17;
    private const int NoFollow = 0x100;
    private const int MayWriteAndSearch = 2 | 1;
    private const int TypeMask = 0xF000, SocketType = 0xC000;

    /// <summary>What keeps a path from being bound, as far as can be known without doing it; null: nothing.</summary>
    public static PathObstacle? FindObstacle(string path)
    {
        string folder = Path.GetDirectoryName(path) ?? "/";
        if (!Directory.Exists(folder)) return new PathObstacle($"there is no folder {folder}", $"`mkdir {folder}`, for the user of the service");
        if (Exists(path, out bool isSocket))
        {
            if (!isSocket) return new PathObstacle("a file is there that is no socket", "write another path, or take that file away");
            if (!IsLeftOver(path, out int process))
            {
                return new PathObstacle("another process listens on it", $"`ss -xlp 'src = {path}'` shows which; end that, or write another path")
                {
                    Process = process,
                };
            }
        }

        return Libc.Access(folder, MayWriteAndSearch) == 0 ? null
            : new PathObstacle($"this user may not make a file in {folder}", $"`ls -ld {folder}` shows who may") { IsForbidden = true };
    }

    /// <summary>Binds a path, with the mode that its file is to have, and listens. A socket that is left over there goes, and nothing
    /// else.</summary>
    /// <returns>The descriptor, which does not block, and which an exec closes.</returns>
    /// <exception cref="IOException">It cannot be bound; the message says why.</exception>
    public static int Listen(string path, UnixFileMode mode, int backlog)
    {
        if (FindObstacle(path) is { } obstacle) throw new IOException(obstacle.Reason);
        Remove(path);
        int descriptor = Libc.Socket(Libc.AfUnix, Libc.SockStream | Libc.SockNonBlock | Libc.SockCloseOnExec, 0);
        try
        {
            if (descriptor < 0) throw Failed();

            // struct sockaddr_un: the family, and the path with a zero behind it.
            ReadOnlySpan<byte> address = Serialized(path);
            fixed (byte* start = address)
            {
                if (Libc.Bind(descriptor, (NativeAddress*)start, (uint)address.Length) != 0) throw Failed();
            }

            // Nobody can connect before it listens, and so nobody to a file that has another mode.
            return SetMode(path, mode) && Libc.Listen(descriptor, backlog) == 0 ? descriptor : throw Failed();
        }
        catch
        {
            if (descriptor >= 0) _ = Libc.Close(descriptor);
            throw;
        }
    }

    /// <summary>Goes on with a socket that was handed over, and gives its file a mode. Where somebody has removed the file nobody could connect any
    /// more: then the socket is closed.</summary>
    /// <returns>The descriptor; below 0: there is none, or none any more.</returns>
    public static int Inherit(string path, int descriptor, UnixFileMode mode)
    {
        if (descriptor < 0 || (IsSocket(path) && SetMode(path, mode))) return descriptor;
        _ = Libc.Close(descriptor);
        return -1;
    }

    /// <summary>Gives a socket's file a mode.</summary>
    /// <returns>False: it is not there, or another user's.</returns>
    private static bool SetMode(string path, UnixFileMode mode) => Libc.ChangeMode(path, (uint)mode) == 0;

    /// <summary>Whether there is a file, of whatever kind.</summary>
    public static bool Exists(string path) => Exists(path, out _);

    /// <summary>Whether there is a socket's file.</summary>
    public static bool IsSocket(string path) => Exists(path, out bool isSocket) && isSocket;

    /// <summary>Removes a socket's file, if it can be, and if nobody listens on it (any more).</summary>
    public static void Remove(string path)
    {
        if (!IsSocket(path) || !IsLeftOver(path, out _)) return;
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The next process that binds it finds that nobody listens.
        }
    }

    /// <summary>Whether nobody listens on a socket. One that may not be asked is somebody's.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="process">Who listens; 0: not known.</param>
    private static bool IsLeftOver(string path, out int process)
    {
        process = 0;
        using Socket probe = new(AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));

            // struct ucred: pid, uid, gid.
            Span<byte> credentials = stackalloc byte[12];
            bool isTold = probe.GetRawSocketOption(SocketLevel, PeerCredentials, credentials) == credentials.Length;
            process = isTold ? MemoryMarshal.Read<int>(credentials) : 0;
            return false;
        }
        catch (SocketException error)
        {
            return error.SocketErrorCode == SocketError.ConnectionRefused;
        }
    }

    private static bool Exists(string path, out bool isSocket)
    {
        FileStatus status = default;
        bool exists = Libc.StatusOf(Libc.WorkingFolder, path, NoFollow, Libc.StatusBasic, (byte*)&status) == 0;
        isSocket = exists && (status.Mode & TypeMask) == SocketType;
        return exists;
    }

    private static byte[] Serialized(string path) => [.. new UnixDomainSocketEndPoint(path).Serialize().Buffer.Span];

    private static IOException Failed() => new(Libc.Describe(Marshal.GetLastPInvokeError()));
}
