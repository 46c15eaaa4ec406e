namespace Megaphone.Attacks;

/// <summary>Links that connect, speak another protocol and are closed, as many as possible.</summary>
/// <param name="module">Whether they go to the module rather than to a hub.</param>
internal sealed class GarbageLinks(bool module) : RepeatedLinks("garbage-links", module, threads: 4)
{
    private static readonly byte[] Garbage = Enumerable.Repeat("GET / HTTP/1.1\r\n"u8.ToArray(), 4).SelectMany(line => line).ToArray();

    /// <inheritdoc/>
    public override string Summary => "links that speak garbage, one after the other";

    /// <inheritdoc/>
    public override int MinActions => 20;

    /// <inheritdoc/>
    protected override bool Use(AttackSocket link, int number, CancellationToken end)
    {
        link.Send(Garbage, reads: true, end);
        link.Receive(null, TimeSpan.FromSeconds(1), end);
        return link.IsEnded;
    }

    /// <inheritdoc/>
    protected override Outcome Judge(int links, int counted, Timing timing) => new(links, $"{counted} of {links} links closed");
}
