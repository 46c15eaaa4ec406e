namespace Megaphone.Metrics;

/// <summary>How a reload came out.</summary>
internal enum ReloadResult
{
    /// <summary>Another image of the process has taken over.</summary>
    Done,

    /// <summary>It would not have worked, and nothing has happened.</summary>
    Refused,

    /// <summary>It went wrong after it had begun, and the process goes on.</summary>
    Failed,
}
