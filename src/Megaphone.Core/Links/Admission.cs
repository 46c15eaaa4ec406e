namespace Megaphone.Links;

/// <summary>What the links that one listener takes share until they have authenticated: places, guesses, and lines in the log.</summary>
/// <remarks>Each of them is bounded for whoever can connect, and none for a link that is up with its secret or certificate.</remarks>
internal sealed class Admission(LinkLog log) : IDisposable
{
    /// <summary>Those whose link has not come up yet: where there are too many links, one of these gives way.</summary>
    public Crowd<LinkConnection> Silent { get; } = new();

    /// <summary>What wrong secrets cost.</summary>
    public WrongSecrets WrongSecrets { get; } = new();

    /// <summary>What may be logged.</summary>
    public LinkLines Lines { get; } = new(log);

    /// <summary>Sums up what was not logged. May be called again.</summary>
    public void Dispose() => Lines.Dispose();
}
