namespace Megaphone.Links;

/// <summary>The limits that a listener's links share until they have authenticated: on their number, guesses of the secret, and log lines.</summary>
/// <remarks>Anybody who can connect is bound by them; a link that is up with its secret or certificate is not.</remarks>
internal sealed class PreAuthLimits(LinkLog log, LinkRegistry links) : IDisposable
{
    /// <summary>The listener's links that are up or cut.</summary>
    public LinkRegistry Links { get; } = links;

    /// <summary>Connections whose link is not up yet: when there are too many links, one of these is evicted.</summary>
    public EvictionQueue<LinkConnection> Pending { get; } = new();

    /// <summary>Delays guesses of the secret.</summary>
    public AuthenticationThrottle Throttle { get; } = new();

    /// <summary>Bounds the log lines.</summary>
    public LinkLogLimiter Log { get; } = new(log);

    /// <summary>Logs how many lines were suppressed. May be called again.</summary>
    public void Dispose() => Log.Dispose();
}
