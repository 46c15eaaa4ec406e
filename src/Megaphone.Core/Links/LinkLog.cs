using Microsoft.Extensions.Logging;

namespace Megaphone.Links;

/// <summary>The log lines of links: one when a link comes up, one when it goes down, with its counters.</summary>
internal sealed partial class LinkLog(ILogger<Link> logger)
{
    [LoggerMessage(100, LogLevel.Information, "Link {Peer} is up: {Name}, {Kind}, packets up to {MaxPacket} bytes")]
    public partial void Up(string peer, string name, string kind, int maxPacket);

    [LoggerMessage(101, LogLevel.Information,
        "Link {Peer} is down after {Seconds:F1} s: {Reason}; {PacketsIn} packets and {BytesIn} bytes in, "
        + "{PacketsOut} packets and {BytesOut} bytes out")]
    public partial void Down(
        string peer, string reason, double seconds, long packetsIn, long bytesIn, long packetsOut, long bytesOut);

    [LoggerMessage(113, LogLevel.Warning,
        "Link {Peer} is cut after {Seconds:F1} s: {Reason}; its sessions wait for up to {Timeout:0.###} s, {Unacknowledged} bytes are not "
        + "acknowledged")]
    public partial void Cut(string peer, double seconds, string reason, double timeout, long unacknowledged);

    [LoggerMessage(114, LogLevel.Information,
        "Link {Peer} is back after {Seconds:F1} s: {Kind}, {Again} bytes are sent again")]
    public partial void Resumed(string peer, double seconds, string kind, long again);

    [LoggerMessage(115, LogLevel.Warning,
        "Link {Peer} is lost after having been cut for {Seconds:F1} s: {Reason}; {PacketsIn} packets and {BytesIn} bytes in, "
        + "{PacketsOut} packets and {BytesOut} bytes out")]
    public partial void Lost(string peer, double seconds, string reason, long packetsIn, long bytesIn, long packetsOut, long bytesOut);

    [LoggerMessage(102, LogLevel.Information, "Link {Peer} is draining: the other side asked for no new sessions on it")]
    public partial void DrainAsked(string peer);

    [LoggerMessage(116, LogLevel.Warning,
        "Link {Peer} is from {Name}, and so is a link of another process that is up: if these are two ECMs, give each a name of its own "
        + "(Ecm:Link:Name), or neither's links will be resumed")]
    public partial void NameShared(string peer, string name);

    [LoggerMessage(103, LogLevel.Warning, "No link to {To}: {Reason}; retrying, at most {RetryMax} s apart")]
    public partial void NoLink(string to, string reason, double retryMax);

    [LoggerMessage(104, LogLevel.Debug, "Attempt {Attempt} to link with {To} failed: {Reason}; next in {Milliseconds} ms")]
    public partial void AttemptFailed(int attempt, string to, string reason, long milliseconds);

    [LoggerMessage(105, LogLevel.Warning, "Link from {Peer} was rejected: MaxLinks ({MaxLinks}) is reached")]
    public partial void TooMany(string peer, int maxLinks);

    [LoggerMessage(106, LogLevel.Warning, "Links cannot be accepted now: {Reason}")]
    public partial void AcceptFailed(string reason);

    [LoggerMessage(108, LogLevel.Warning,
        "Link {Peer} is closed after {Seconds:F1} s: {Reason}; {PacketsIn} packets and {BytesIn} bytes were received")]
    public partial void Broken(string peer, string reason, double seconds, long packetsIn, long bytesIn);

    [LoggerMessage(109, LogLevel.Debug, "Link {Peer} never came up: {Reason}")]
    public partial void Unused(string peer, string reason);

    [LoggerMessage(110, LogLevel.Information, "{Section}: new links use new certificates, valid until {NotAfter:u}")]
    public partial void CertificatesReloaded(string section, DateTime notAfter);

    [LoggerMessage(111, LogLevel.Warning, "{Section}: new certificates cannot be used, the previous ones stay in use: {Problems}")]
    public partial void CertificatesNotReloaded(string section, string problems);

    [LoggerMessage(EventId = 112, Message = "{Count} more links {What} in the last {Seconds} s; only the first are logged one by one")]
    public partial void More(LogLevel level, long count, string what, int seconds);

    [LoggerMessage(107, LogLevel.Error, "Link {Peer} failed because of an internal error")]
    public partial void Unexpected(string peer, Exception exception);
}
