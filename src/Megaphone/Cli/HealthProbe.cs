using System.Net;
using System.Net.Sockets;
using System.Text;
using Megaphone.Configuration;
using Megaphone.Hosting;

namespace Megaphone.Cli;

/// <summary>Asks a running service's admin endpoint for <c>/healthz</c>: a minimal image has no other program that could.</summary>
/// <remarks>An HTTP client of the framework's would make the binary a tenth larger for one request of one line.</remarks>
internal static class HealthProbe
{
    private const int TimeoutMilliseconds = 2_000;

    /// <summary>Asks, for two seconds at most.</summary>
    /// <returns>Null when the service is sound, else what is wrong.</returns>
    public static string? Ask(AdminOptions? admin)
    {
        if (admin is null) return "Admin is switched off, so there is nothing to ask; for example \"Admin\": true";
        IPEndPoint endPoint = MegaphoneService.Reachable(admin.Listen);
        try
        {
            using Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.SendTimeout = socket.ReceiveTimeout = TimeoutMilliseconds;
            socket.Connect(endPoint);
            socket.Send(Encoding.ASCII.GetBytes($"GET /healthz HTTP/1.1\r\nHost: {endPoint}\r\nConnection: close\r\n\r\n"));

            byte[] answer = new byte[64];
            int count = 0;
            for (int more;
                count < answer.Length && (more = socket.Receive(answer, count, answer.Length - count, SocketFlags.None)) > 0;
                count += more)
            {
            }

            string line = Encoding.ASCII.GetString(answer, 0, count).Split('\r')[0];
            return line.StartsWith("HTTP/1.1 200", StringComparison.Ordinal) ? null : $"http://{endPoint}/healthz answered \"{line}\"";
        }
        catch (SocketException error)
        {
            return $"http://{endPoint}/healthz: {error.Message}";
        }
    }
}
