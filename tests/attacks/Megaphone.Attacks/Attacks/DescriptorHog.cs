using System.Globalization;
using System.Net;

namespace Megaphone.Attacks;

/// <summary>Connects far more clients than the ECM has descriptors for, and holds them: those that are not turned away at once.</summary>
internal sealed class DescriptorHog : IAttack
{
    private const int Descriptors = 400;
    private const int Connections = 600;
    private const int Threads = 4;

    /// <inheritdoc/>
    public string Name => "descriptors";

    /// <inheritdoc/>
    public string Summary => $"{Connections} connections, plain and TLS, to an ECM that may open {Descriptors} descriptors";

    /// <inheritdoc/>
    public Scene Scene => new() { EcmDescriptors = Descriptors };

    /// <inheritdoc/>
    public int LeastMoves => Descriptors;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Pace pace) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Pace pace, CancellationToken end)
    {
        long connected = 0, held = 0;
        Task attack = AttackThread.RunAsync(Threads, thread =>
        {
            IPEndPoint to = thread % 2 == 0 ? target.Clients : target.TlsClients;
            List<AttackSocket> sockets = [];
            for (int i = 0; i < Connections / Threads && AttackSocket.Connect(to, IPAddress.Loopback, end) is { } made; i++)
            {
                sockets.Add(made);
                Interlocked.Increment(ref connected);
            }

            end.WaitHandle.WaitOne();
            sockets.ForEach(socket => socket.Drain());
            Interlocked.Add(ref held, sockets.Count(socket => !socket.IsEnded));
            sockets.ForEach(socket => socket.Dispose());
        });
        await Task.Delay(pace.Length / 10, CancellationToken.None);
        using ProcessorShare share = new(target.Ecm.Process.Id);
        HealthChecks health = await HealthChecks.AskAsync(target.Ecm, pace);
        double used = share.Measure();
        await attack;
        return new Outcome(
            connected, string.Create(CultureInfo.InvariantCulture, $"{held} of {connected} held, {health}, {used:F2} of a core"), Harmed: health.Unanswered);
    }
}
