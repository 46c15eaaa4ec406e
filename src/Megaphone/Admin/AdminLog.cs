using Microsoft.Extensions.Logging;

namespace Megaphone.Admin;

/// <summary>The log lines of the admin endpoint.</summary>
internal static partial class AdminLog
{
    [LoggerMessage(7, LogLevel.Warning, "An admin request failed")]
    public static partial void RequestFailed(ILogger log, Exception error);
}
