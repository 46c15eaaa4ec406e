using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>One address opens connections to the TLS listener, more than there are places for, and says nothing more on them.</summary>
/// <param name="begins">Whether it begins with the head of a record.</param>
internal sealed class SilentHandshakes(bool begins) : IAttack
{
    private const int Connections = 3000;
    private const int Threads = 2;

    /// <summary>As a client has one that was not lucky with its first packet.</summary>
    private static readonly TimeSpan LongestLogin = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);
    private static readonly byte[] Beginning = [0x16, 0x03, 0x01];

    /// <inheritdoc/>
    public string Name => begins ? "begun-handshakes" : "silent-handshakes";

    /// <inheritdoc/>
    public string Summary =>
        $"up to {Connections} connections to a TLS listener that say nothing{(begins ? " behind the head of a record" : "")}, while others log in";

    /// <summary>With time for handshakes that do not come: nothing gets better by itself while this is played.</summary>
    public Scene Scene => new() { HasPeers = true, Ecm = ["Ecm:Tls:HandshakeTimeout=00:01:00"] };

    /// <inheritdoc/>
    public int MinActions => 600;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        long connected = 0;
        Task attack = AttackThread.RunAsync(Threads, _ =>
        {
            List<AttackSocket> sockets = [];
            do
            {
                AttackSocket.CloseEnded(sockets);
                while (sockets.Count < Connections / Threads && AttackSocket.Connect(target.TlsClients, Attackers.Address, end) is { } made)
                {
                    if (begins) made.Send(Beginning, reads: false, end);
                    sockets.Add(made);
                    Interlocked.Increment(ref connected);
                }
            }
            while (!end.WaitHandle.WaitOne(Rest));
            sockets.ForEach(socket => socket.Dispose());
        });

        int logins = 0, failed = 0;
        TimeSpan longest = TimeSpan.Zero;
        while (!end.IsCancellationRequested)
        {
            long began = Stopwatch.GetTimestamp();
            try
            {
                // Every other honest client speaks TLS.
                using HonestClient client = await HonestClient.ConnectAsync(target, 1);
                await client.SayAsync();
                logins++;
            }
            catch (Exception refused) when (refused is IOException or SocketException or TimeoutException)
            {
                failed++;
            }

            TimeSpan took = Stopwatch.GetElapsedTime(began);
            if (took > longest) longest = took;
            await Task.Delay(Rest, CancellationToken.None);
        }

        await attack;
        return new Outcome(
            connected,
            string.Create(CultureInfo.InvariantCulture, $"{logins} logins meanwhile, {longest.TotalMilliseconds:F0} ms at the longest"),
            longest > LongestLogin + timing.AnswerWithin ? "logins were held up" : null,
            Harmed: failed);
    }
}
