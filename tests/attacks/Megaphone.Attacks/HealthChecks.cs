using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>Health checks that somebody asks for while a process is attacked.</summary>
/// <param name="Asked">How many.</param>
/// <param name="Unanswered">To how many there was no answer in time, or another one than 200.</param>
internal sealed record HealthChecks(int Asked, int Unanswered)
{
    private const int Count = 10;

    /// <summary>Asks ten times within half of an attack's time, over a connection of its own each time, as probes do.</summary>
    /// <remarks>Until this is done the attack must not end, however long the answers take.</remarks>
    public static async Task<HealthChecks> AskAsync(MegaphoneProcess process, Pace pace)
    {
        List<Task<bool>> checks = [];
        for (int i = 0; i < Count; i++)
        {
            await Task.Delay(pace.Length / (2 * Count));
            checks.Add(AnswersAsync(process.Admin, pace.AnswerWithin));
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
