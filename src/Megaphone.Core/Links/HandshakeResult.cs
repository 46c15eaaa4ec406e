namespace Megaphone.Links;

/// <summary>What a link's first packet said.</summary>
/// <param name="Outcome">What it leads to.</param>
/// <param name="Reason">Why, unless the link is up: for the log and for <c>refuse</c>.</param>
internal readonly record struct HandshakeResult(HandshakeResult.Kind Outcome, string Reason = "")
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

    /// <summary>With a violation: it was about the secret.</summary>
    public bool Unauthorized { get; init; }

    /// <summary>With a refusal: a secret was looked at and was not the right one.</summary>
    public bool WrongSecret { get; init; }

    /// <summary>What a first packet leads to.</summary>
    internal enum Kind
    {
        /// <summary>The link is ready for sessions.</summary>
        Up,

        /// <summary>The <c>hello</c> is not acceptable: to be told with <c>refuse</c>, then the connection ends.</summary>
        Refuse,

        /// <summary>The other side violated the protocol: the connection ends.</summary>
        Violation,

        /// <summary>The other side does not want the link, or cannot be spoken to: the connection ends.</summary>
        End,
    }
}
