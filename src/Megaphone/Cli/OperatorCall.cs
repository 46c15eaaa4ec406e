using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.Cli;

/// <summary>Asks the running service over its operator's socket.</summary>
/// <remarks>Without an HTTP client of the framework's, as <see cref="HealthProbe"/>.</remarks>
internal static class OperatorCall
{
    /// <summary>The status of an answer that is none but an answer.</summary>
    public const int Ok = 200;

    /// <summary>The status of an answer that says what is wrong with the request.</summary>
    public const int BadRequest = 400;

    /// <summary>Longer than a rehearsal takes, and one before it.</summary>
    private const int TimeoutMilliseconds = 60_000;

    /// <summary>Sends a request without a body, and receives the answer.</summary>
    /// <param name="path">The socket.</param>
    /// <param name="method">The method.</param>
    /// <param name="target">The path and query.</param>
    /// <param name="status">The answer's status.</param>
    /// <param name="body">The answer's body.</param>
    /// <param name="problem">Why there is no answer.</param>
    /// <returns>Whether there is one.</returns>
    public static bool TrySend(string path, string method, string target, out int status, out byte[] body, out string problem)
    {
        (status, body, problem) = (0, [], "");
        try
        {
            using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.SendTimeout = socket.ReceiveTimeout = TimeoutMilliseconds;
            socket.Connect(new UnixDomainSocketEndPoint(path));
            socket.Send(Encoding.ASCII.GetBytes($"{method} {target} HTTP/1.1\r\nHost: megaphone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
            return TryParse(Receive(socket), ref status, ref body, ref problem);
        }
        catch (SocketException error)
        {
            problem = Describe(path, error);
        }
        catch (ArgumentException error)
        {
            problem = $"Admin:Socket \"{path}\" is no path of a socket: {error.Message}";
        }

        return false;
    }

    private static string Describe(string path, SocketException error) => error.SocketErrorCode switch
    {
        SocketError.TimedOut or SocketError.WouldBlock => $"no answer within {TimeoutMilliseconds / 1000} s",
        SocketError.AccessDenied =>
            $"{path}: permission denied; whoever may write to this file may give orders: be root or the service's user, "
            + "for example with sudo -u megaphone",
        SocketError.ConnectionRefused => $"{path}: nobody listens on it; the service that made it runs no more, or has another Admin:Socket now",
        SocketError.AddressNotAvailable =>
            $"{path}: there is no such file; no service runs with this as Admin:Socket. Start it, or name its file: "
            + "--Admin:Socket PATH, or --config FILE",
        _ => $"{path}: {error.Message.TrimEnd('.')}; the service must run, with this as Admin:Socket, and this user must be allowed to write to it",
    };

    private static byte[] Receive(Socket socket)
    {
        using MemoryStream answer = new();
        byte[] buffer = new byte[64 << 10];
        for (int count; (count = socket.Receive(buffer)) > 0;) answer.Write(buffer, 0, count);
        return answer.ToArray();
    }

    private static bool TryParse(byte[] answer, ref int status, ref byte[] body, ref string problem)
    {
        int end = answer.AsSpan().IndexOf("\r\n\r\n"u8);
        string line = Encoding.ASCII.GetString(answer, 0, Math.Max(0, end)).Split('\r')[0];
        string[] parts = line.Split(' ');
        if (parts.Length < 2 || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out status))
        {
            problem = "the service has ended the connection without an answer: see its log";
            return false;
        }

        body = answer[(end + 4)..];
        return true;
    }
}
