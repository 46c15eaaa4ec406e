namespace Megaphone.Attacks;

/// <summary>An attack by links that connect, send something and are closed, on several threads one after the other.</summary>
/// <param name="name">What it is called where a hub is attacked.</param>
/// <param name="module">Whether the links go to the module rather than to a hub.</param>
/// <param name="threads">How many links there are at the same time.</param>
internal abstract class RepeatedLinks(string name, bool module, int threads) : IAttack
{
    /// <inheritdoc/>
    public string Name => module ? $"{name}-module" : name;

    /// <inheritdoc/>
    public abstract string Summary { get; }

    /// <inheritdoc/>
    public Scene Scene => new() { Server = module ? Server.Module : Server.Hub, AttacksServer = true, Secret = "a secret" };

    /// <inheritdoc/>
    public abstract int MinActions { get; }

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        int links = 0, counted = 0;
        await AttackThread.RunAsync(threads, _ =>
        {
            while (!end.IsCancellationRequested)
            {
                using AttackSocket? link = AttackSocket.Connect(target.Links, Attackers.Address, end);
                if (link is null) continue;
                if (Use(link, Interlocked.Increment(ref links), end)) Interlocked.Increment(ref counted);
            }
        });
        return Judge(links, counted, timing);
    }

    /// <summary>Does what the attack does with one link. Called by several threads.</summary>
    /// <param name="link">The link, just connected.</param>
    /// <param name="number">Its number, from 1 on.</param>
    /// <param name="end">When to stop.</param>
    /// <returns>Whether this link counts for <see cref="Judge"/>.</returns>
    protected abstract bool Use(AttackSocket link, int number, CancellationToken end);

    /// <summary>Tells the outcome.</summary>
    /// <param name="links">How many links there were.</param>
    /// <param name="counted">For how many of them <see cref="Use"/> returned true.</param>
    /// <param name="timing">How long the attack was played.</param>
    protected abstract Outcome Judge(int links, int counted, Timing timing);
}
