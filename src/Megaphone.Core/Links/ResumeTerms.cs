namespace Megaphone.Links;

/// <summary>What the two ends of a link have agreed on about resuming it (section 7 of the link protocol).</summary>
/// <param name="Token">The link's name, which is a secret; it stays through all its connections.</param>
/// <param name="Timeout">How long the link's sessions outlive a connection.</param>
/// <param name="PeerWindow">How many bytes the other end may leave unacknowledged.</param>
internal sealed record ResumeTerms(string Token, TimeSpan Timeout, int PeerWindow)
{
    /// <summary>The largest window of another end for which memory may have to be found: that of the largest ring.</summary>
    public const int MaxWindow = 1 << 30;

    /// <summary>Without the token, which is a secret.</summary>
    public override string ToString() => $"for {Timeout.TotalSeconds:0.###} s, with a window of {PeerWindow} bytes";
}
