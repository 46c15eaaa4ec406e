namespace Megaphone.Operator;

/// <summary>How the process is: what <c>megaphone status</c> and the status page show. Nobody's address is in it, and no configuration.</summary>
internal sealed record StatusReport
{
    /// <summary>The version.</summary>
    public required string Version { get; init; }

    /// <summary>The process.</summary>
    public required int Process { get; init; }

    /// <summary>When this was said, in milliseconds since 1970.</summary>
    public required long Now { get; init; }

    /// <summary>When this image of the process was started, in milliseconds since 1970.</summary>
    public required long Started { get; init; }

    /// <summary><c>ready</c>, <c>not ready</c>, <c>draining</c> or <c>stopping</c>.</summary>
    public required string State { get; init; }

    /// <summary>Why it is not ready, or what is out though it is.</summary>
    public required IReadOnlyList<string> Reasons { get; init; }

    /// <summary>What it uses.</summary>
    public required ResourceStatus Resources { get; init; }

    /// <summary>Each role that runs.</summary>
    public required IReadOnlyList<RoleStatus> Roles { get; init; }

    /// <summary>Its reloads.</summary>
    public required ReloadStatus Reloads { get; init; }
}
