using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>What a link's first packet leads to.</summary>
/// <param name="Outcome">The decision.</param>
/// <param name="Reason">Why, unless the link is up: for the log and for <c>refuse</c>.</param>
internal readonly record struct HandshakeResult(HandshakeResult.Kind Outcome, string Reason = "")
{
    /// <summary>Whether control packets may be sent.</summary>
    public bool Control { get; init; }

    /// <summary>The other side's name, fit for a log.</summary>
    public string? Name { get; init; }

    /// <summary>The longest packet that it accepts, in bytes, if it said so.</summary>
    public int? MaxPacket { get; init; }

    /// <summary>The interval of silence after which the link is pinged, if it said so.</summary>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>Whether it says who has logged in.</summary>
    public bool TellsLogins { get; init; }

    /// <summary>Whether its packets are whole pieces.</summary>
    public bool SendsPieces { get; init; }

    /// <summary>What it says about resuming; null: nothing.</summary>
    public ControlResume? Resume { get; init; }

    /// <summary>How many of its members were unknown.</summary>
    public int Ignored { get; init; }

    /// <summary>With a violation: it was about the secret.</summary>
    public bool Unauthorized { get; init; }

    /// <summary>With a refusal: the secret was checked and is wrong.</summary>
    public bool WrongSecret { get; init; }

    internal enum Kind
    {
        /// <summary>The link is ready for sessions.</summary>
        Up,

        /// <summary>The <c>hello</c> is not acceptable: answer with <c>refuse</c>, then close the connection.</summary>
        Refuse,

        /// <summary>The other side violated the protocol: close the connection.</summary>
        Violation,

        /// <summary>The other side refused the link, or speaks another version: close the connection.</summary>
        End,
    }
}
