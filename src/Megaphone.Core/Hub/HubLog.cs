using Microsoft.Extensions.Logging;

namespace Megaphone.Hub;

/// <summary>The log lines of the hub; those about single sessions at Debug only.</summary>
internal sealed partial class HubLog(ILogger<HubRole> logger)
{
    [LoggerMessage(300, LogLevel.Information, "Hub listens for links on {Listen}, with the backend {Backend}")]
    public partial void Listening(string listen, string backend);

    [LoggerMessage(301, LogLevel.Warning, "The backend's name {Host} cannot be resolved: {Reason}; retrying")]
    public partial void Unresolved(string host, string reason);

    [LoggerMessage(302, LogLevel.Warning, "Sessions fail at the backend {Backend}: {Reason}; for {Seconds} s more of them are counted, not logged")]
    public partial void BackendFails(string backend, string reason, int seconds);

    [LoggerMessage(306, LogLevel.Warning, "{Count} more sessions failed at the backend {Backend} in the last {Seconds} s")]
    public partial void BackendFailedMore(string backend, long count, int seconds);

    [LoggerMessage(307, LogLevel.Warning,
        "Backend {Backend} is out: a connection to it failed; new sessions go to others, and one of them tries it, at most {Seconds} s apart")]
    public partial void BackendIsOut(string backend, double seconds);

    [LoggerMessage(308, LogLevel.Information, "Backend {Backend} is back after {Seconds:F1} s")]
    public partial void BackendIsBack(string backend, double seconds);

    [LoggerMessage(309, LogLevel.Warning, "Backend {Backend} is not used: there are {MaxAddresses} addresses already")]
    public partial void TooManyAddresses(string backend, int maxAddresses);

    [LoggerMessage(310, LogLevel.Warning, "{Note}")]
    public partial void Unchanged(string note);

    [LoggerMessage(303, LogLevel.Debug, "Session {Id} of link {Peer} is over: {Reason}")]
    public partial void SessionOver(ulong id, string peer, string reason);

    [LoggerMessage(305, LogLevel.Debug, "Session {Id} of link {Peer} was not opened: {Reason}")]
    public partial void SessionRefused(ulong id, string peer, string reason);

    [LoggerMessage(304, LogLevel.Debug, "Session {Id} of link {Peer} is open")]
    public partial void SessionOpened(ulong id, string peer);
}
