namespace Megaphone.Links;

/// <summary>What a link's first packet said.</summary>
/// <param name="Outcome">What it leads to.</param>
/// <param name="Reason">Why, unless the link is up: for the log and for <c>refuse</c>.</param>
internal readonly record struct HandshakeResult(HandshakeOutcome Outcome, string Reason = "")
{
    /// <summary>Whether control packets may be sent.</summary>
    public bool Control { get; init; }

    /// <summary>The other side's name, fit for a log.</summary>
    public string? Name { get; init; }

    /// <summary>The longest packet that it accepts, in bytes, if it said so.</summary>
    public int? MaxPacket { get; init; }

    /// <summary>How often a silent link is to be asked for a sign of life, if it said so.</summary>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>Members of it that were not understood.</summary>
    public int Ignored { get; init; }

    /// <summary>With a breach: it was about the secret.</summary>
    public bool Unauthorized { get; init; }

    /// <summary>With a refusal: a secret was looked at and was not the right one.</summary>
    public bool WrongSecret { get; init; }
}
