using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>Connects far more clients than the ECM has descriptors for, from one address, and holds those that are not refused.</summary>
internal sealed class DescriptorHog : IAttack
{
    private const int Descriptors = 600;
    private const int Connections = 900;
    private const int Threads = 4;
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(50);

    /// <inheritdoc/>
    public string Name => "descriptors";

    /// <inheritdoc/>
    public string Summary => $"{Connections} connections, plain and TLS, to an ECM that may open {Descriptors} descriptors, while others log in";

    /// <summary>With time for handshakes that do not come: nothing gets better by itself while this is played.</summary>
    public Scene Scene => new() { EcmDescriptors = Descriptors, Ecm = ["Ecm:Tls:HandshakeTimeout=00:01:00"] };

    /// <inheritdoc/>
    public int MinActions => Descriptors;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        long connected = 0, held = 0;
        TimeSpan fill = timing.Length / 5;
        using CancellationTokenSource over = new();
        Task attack = AttackThread.RunAsync(Threads, thread =>
        {
            IPEndPoint to = thread % 2 == 0 ? target.Clients : target.TlsClients;
            List<AttackSocket> sockets = [];
            for (long full = Environment.TickCount64 + (long)fill.TotalMilliseconds; Environment.TickCount64 < full; Thread.Sleep(Rest))
            {
                // A refused client comes again, so that no descriptor stays free that the ECM has had open for a moment.
                AttackSocket.CloseEnded(sockets);
                for (int i = sockets.Count; i < Connections / Threads && AttackSocket.Connect(to, Attackers.Address, over.Token) is { } made; i++)
                {
                    sockets.Add(made);
                    Interlocked.Increment(ref connected);
                }
            }

            over.Token.WaitHandle.WaitOne();
            AttackSocket.CloseEnded(sockets);
            Interlocked.Add(ref held, sockets.Count);
            sockets.ForEach(socket => socket.Dispose());
        });
        await Task.Delay(fill, CancellationToken.None);
        using ProcessorShare share = new(target.Ecm.Process.Id);
        Task<(int Done, int Failed)> logins = LogInAsync(target, end);
        HealthChecks health = await HealthChecks.AskAsync(target.Ecm, timing);
        double used = share.Measure();
        (int done, int failed) = await logins;
        await over.CancelAsync();
        await attack;
        return new Outcome(
            connected,
            string.Create(CultureInfo.InvariantCulture, $"{held} of {connected} held, {done} logins meanwhile, {health}, {used:F2} of a core"),
            Harmed: failed + health.Unanswered);
    }

    /// <summary>Has others log in, one after the other, plain and with TLS.</summary>
    private static async Task<(int Done, int Failed)> LogInAsync(Target target, CancellationToken end)
    {
        int done = 0, failed = 0;
        for (int i = 0; !end.IsCancellationRequested; i++)
        {
            try
            {
                using HonestClient client = await HonestClient.ConnectAsync(target, i);
                await client.SayAsync();
                done++;
            }
            catch (Exception refused) when (refused is IOException or SocketException or TimeoutException)
            {
                failed++;
            }

            await Task.Delay(Rest, CancellationToken.None);
        }

        return (done, failed);
    }
}
