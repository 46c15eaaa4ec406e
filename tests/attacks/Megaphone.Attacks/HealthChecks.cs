using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>Health checks of a process while it is attacked.</summary>
/// <param name="Asked">How many were sent.</param>
/// <param name="Unanswered">How many had no answer in time, or another answer than 200.</param>
internal sealed record HealthChecks(int Asked, int Unanswered)
{
    private const int Count = 10;

    /// <summary>Sends ten within half of an attack's time, each over a connection of its own, as probes do.</summary>
    /// <remarks>The attack must not end before the last answer.</remarks>
    public static async Task<HealthChecks> AskAsync(MegaphoneProcess process, Timing timing)
    {
        List<Task<bool>> checks = [];
        for (int i = 0; i < Count; i++)
        {
            await Task.Delay(timing.Length / (2 * Count));
            checks.Add(AnswersAsync(process.Admin, timing.AnswerWithin));
        }

        return new HealthChecks(Count, (await Task.WhenAll(checks)).Count(answers => !answers));
    }

    /// <inheritdoc/>
    public override string ToString() => $"health {Asked - Unanswered} of {Asked}";

    private static async Task<bool> AnswersAsync(IPEndPoint admin, TimeSpan within)
    {
        using CancellationTokenSource end = new(within);
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        byte[] answer = new byte[1024];
        try
        {
            await socket.ConnectAsync(admin, end.Token);
            await socket.SendAsync("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"u8.ToArray(), end.Token);
            int read = await socket.ReceiveAsync(answer, end.Token);
            return answer.AsSpan(0, read).StartsWith("HTTP/1.1 200 "u8);
        }
        catch (Exception unanswered) when (unanswered is OperationCanceledException or SocketException)
        {
            return false;
        }
    }
}
