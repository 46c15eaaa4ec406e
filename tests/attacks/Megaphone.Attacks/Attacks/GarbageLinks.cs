namespace Megaphone.Attacks;

/// <summary>Links that connect, speak another language and are closed, as many as can be.</summary>
/// <param name="module">Whether they go to the module rather than to a hub.</param>
internal sealed class GarbageLinks(bool module) : IAttack
{
    private const int Threads = 4;

    private static readonly byte[] Garbage = Enumerable.Repeat("GET / HTTP/1.1\r\n"u8.ToArray(), 4).SelectMany(line => line).ToArray();

    /// <inheritdoc/>
    public string Name => module ? "garbage-links-module" : "garbage-links";

    /// <inheritdoc/>
    public string Summary => "links that speak garbage, one after the other";

    /// <inheritdoc/>
    public Scene Scene => new() { Module = module, AttacksServer = true, Secret = "a secret" };

    /// <inheritdoc/>
    public int LeastMoves => 20;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Pace pace) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Pace pace, CancellationToken end)
    {
        long links = 0, ended = 0;
        await AttackThread.RunAsync(Threads, _ =>
        {
            while (!end.IsCancellationRequested)
            {
                using AttackSocket? link = AttackSocket.Connect(target.Links, Attackers.Address, end);
                if (link is null) continue;
                Interlocked.Increment(ref links);
                link.Send(Garbage, reads: true, end);
                link.Receive(null, TimeSpan.FromSeconds(1), end);
                if (link.IsEnded) Interlocked.Increment(ref ended);
            }
        });
        return new Outcome(links, $"{ended} of {links} links closed");
    }
}
