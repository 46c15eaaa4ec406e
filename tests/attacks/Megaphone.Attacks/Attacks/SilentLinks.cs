using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Megaphone.Attacks;

/// <summary>
/// Connections that send nothing, and others that begin a TLS handshake and stop, take all places for links, and come again as soon as
/// they are closed, while an honest ECM far away has lost its link and needs another.
/// </summary>
internal sealed class SilentLinks : IAttack
{
    private const int MaxLinks = 16;
    private const int Connections = 48;
    private const int Threads = 4;

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(200);
    private static readonly IPAddress FarAway = IPAddress.Parse("127.0.0.2");

    /// <summary>The head of a record with a ClientHello, and no more.</summary>
    private static readonly byte[] HalfHello = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

    /// <inheritdoc/>
    public string Name => "silent-links";

    /// <inheritdoc/>
    public string Summary => $"{Connections} silent links and half handshakes, for {MaxLinks} places, while an ECM comes back";

    /// <inheritdoc/>
    public Scene Scene => new()
    {
        Server = Server.Hub,
        AttacksServer = true,
        Secret = "a secret",
        LinkTls = true,
        Hub = [string.Create(CultureInfo.InvariantCulture, $"Hub:MaxLinks={MaxLinks}")],
    };

    /// <inheritdoc/>
    public int MinActions => Connections;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        using DelayingProxy cable = new(target.Links, FarAway, Delay);
        using MegaphoneProcess ecm = await target.StartEcmAsync(cable.Address);
        await ecm.HasLinksAsync(1, "ecm");

        // It goes on until the ECM has its link again, or has waited long enough.
        using CancellationTokenSource over = new();
        long connected = 0;
        Task attack = AttackThread.RunAsync(Threads, _ => Fill(target.Links, ref connected, over.Token));
        await Task.Delay(timing.Length / 4, CancellationToken.None);
        cable.Cut();
        long cut = Stopwatch.GetTimestamp();
        TimeSpan within = 2 * timing.AnswerWithin;
        bool isBack = false;
        while (!isBack && Stopwatch.GetElapsedTime(cut) < within)
        {
            await Task.Delay(20, CancellationToken.None);

            // Up again, or back: the second line, or the first would be taken for it.
            isBack = ecm.LogLines(" is up: ") + ecm.LogLines(" is back after ") >= 2;
        }

        TimeSpan took = Stopwatch.GetElapsedTime(cut);
        await end.UntilAsync();
        await over.CancelAsync();
        await attack;
        string back = isBack ? $"back after {took.TotalMilliseconds:F0} ms" : $"not back after {took.TotalSeconds:F1} s";
        return new Outcome(connected, $"{connected} connections, the ECM {back}", Harmed: isBack ? 0 : 1);
    }

    private static void Fill(IPEndPoint to, ref long connected, CancellationToken end)
    {
        List<AttackSocket> sockets = [];
        while (!end.WaitHandle.WaitOne(1))
        {
            AttackSocket.CloseEnded(sockets);
            while (sockets.Count < Connections / Threads && AttackSocket.Connect(to, Attackers.Address, end) is { } made)
            {
                if (Interlocked.Increment(ref connected) % 2 == 0) made.Send(HalfHello, reads: false, end);
                sockets.Add(made);
            }
        }

        sockets.ForEach(socket => socket.Dispose());
    }
}
