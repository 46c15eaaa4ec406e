namespace Megaphone.Ecm;

/// <summary>What is still needed of a listener that a reload has closed, for its clients who are there.</summary>
/// <param name="MaxStanzaBytes">See <see cref="ClientListenerOptions"/>.</param>
/// <param name="Ping">See <see cref="WebOptions"/>; null: it was not for the web.</param>
internal sealed record FormerListener(int MaxStanzaBytes, TimeSpan? Ping)
{
    /// <summary>The settings of one for the web. A client whose request is still to come gets there without the pages of any origin.</summary>
    public WebOptions? Web => Ping is { } ping ? new WebOptions { Ping = ping, Origins = [] } : null;
}
