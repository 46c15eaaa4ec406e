namespace Megaphone.Ecm;

/// <summary>At which pace clients log in (section 8 of the link protocol). Checked.</summary>
internal sealed record LoginOptions
{
    /// <summary>Turns at each server at the same time; 0: any number, nobody waits. Default 500.</summary>
    public int AtOnce { get; init; } = 500;

    /// <summary>How long a client may wait for its turn. Default 10 minutes.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMinutes(10);
}
