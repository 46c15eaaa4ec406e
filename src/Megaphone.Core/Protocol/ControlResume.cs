namespace Megaphone.Protocol;

/// <summary>The member <c>resume</c> of a hello or welcome (section 7 of the link protocol). Members that were not sent are null.</summary>
internal sealed record ControlResume
{
    /// <summary>The most characters of an instance or a token.</summary>
    public const int MaxTextLength = 64;

    /// <summary>hello: names the ECM's process.</summary>
    public string? Instance { get; init; }

    /// <summary>hello: the number of the link in that process.</summary>
    public int? Slot { get; init; }

    /// <summary>The secret name of a link: in welcome that of the link that is up now, in hello that of the one to be resumed.</summary>
    public string? Token { get; init; }

    /// <summary>When a link is resumed: how many bytes its sender has received.</summary>
    public long? Received { get; init; }

    /// <summary>How many bytes its sender may leave unacknowledged.</summary>
    public int? Window { get; init; }

    /// <summary>welcome: how long sessions outlive a connection.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>How many of its members are unknown.</summary>
    public int Ignored { get; init; }

    /// <summary>Without the token, which is a secret.</summary>
    public override string ToString() => $"slot {Slot} of {Instance}";
}
