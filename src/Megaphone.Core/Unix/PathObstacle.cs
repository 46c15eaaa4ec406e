namespace Megaphone.Unix;

/// <summary>Why a path cannot be listened on.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Fix">What to do about it.</param>
internal sealed record PathObstacle(string Reason, string Fix)
{
    /// <summary>Whether another user might.</summary>
    public bool IsForbidden { get; init; }

    /// <summary>The process that listens there; 0: none, or not known.</summary>
    public int Process { get; init; }
}
