using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Megaphone.Cli;

/// <summary>Asks the running service for a reload over its operator's socket, and waits for the end, which that service's next image tells.</summary>
/// <remarks>Without an HTTP client of the framework's, as <see cref="HealthProbe"/>.</remarks>
internal static class ReloadCommand
{
    private const int LongestAnswer = 64 << 10;

    /// <summary>Longer than a rehearsal takes, and one before it.</summary>
    private const int TimeoutMilliseconds = 60_000;

    /// <summary>Asks.</summary>
    /// <param name="path">The socket.</param>
    /// <param name="message">What the service says, or why it says nothing.</param>
    /// <returns>Whether it was reloaded.</returns>
    public static bool TryRun(string path, out string message)
    {
        try
        {
            using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.SendTimeout = socket.ReceiveTimeout = TimeoutMilliseconds;
            socket.Connect(new UnixDomainSocketEndPoint(path));
            socket.Send("POST /reload HTTP/1.1\r\nHost: megaphone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8);
            return TryRead(Receive(socket), out message);
        }
        catch (SocketException error) when (error.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            message = $"no answer within {TimeoutMilliseconds / 1000} s";
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            const string Fix = "the service must run, with this as Admin:Socket, and this user must be allowed to write to it";
            message = $"{path}: {error.Message.TrimEnd('.')}; {Fix}";
        }

        return false;
    }

    private static byte[] Receive(Socket socket)
    {
        byte[] answer = new byte[LongestAnswer];
        int count = 0;
        for (int more;
            count < answer.Length && (more = socket.Receive(answer, count, answer.Length - count, SocketFlags.None)) > 0;
            count += more)
        {
        }

        return answer[..count];
    }

    private static bool TryRead(byte[] answer, out string message)
    {
        int body = answer.AsSpan().IndexOf("\r\n\r\n"u8);
        if (body < 0)
        {
            message = "the service has ended the connection without an answer: see its log";
            return false;
        }

        string line = Encoding.ASCII.GetString(answer, 0, body).Split('\r')[0];
        try
        {
            using JsonDocument json = JsonDocument.Parse(answer.AsMemory(body + 4));
            message = json.RootElement.GetProperty("message").GetString()!;
            return json.RootElement.GetProperty("result").GetString() == "done";
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            message = $"the service answered \"{line}\"";
            return false;
        }
    }
}
