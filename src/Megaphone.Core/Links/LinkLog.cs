using Microsoft.Extensions.Logging;

namespace Megaphone.Links;

/// <summary>What links tell the operator: one line when a link comes up, one when it goes, with its numbers.</summary>
internal sealed partial class LinkLog(ILogger<Link> logger)
{
    [LoggerMessage(100, LogLevel.Information, "Link {Peer} is up: {Name}, {Kind}, packets up to {MaxPacket} bytes")]
    public partial void Up(string peer, string name, string kind, int maxPacket);

    [LoggerMessage(101, LogLevel.Information,
        "Link {Peer} is down after {Seconds:F1} s: {Reason}; {PacketsIn} packets and {BytesIn} bytes in, {PacketsOut} packets and {BytesOut} bytes out")]
    public partial void Down(
        string peer, string reason, double seconds, long packetsIn, long bytesIn, long packetsOut, long bytesOut);

    [LoggerMessage(102, LogLevel.Information, "Link {Peer} is draining: the other side asked for no new sessions on it")]
    public partial void DrainAsked(string peer);

    [LoggerMessage(103, LogLevel.Warning, "No link to {To}: {Reason}; trying again, at most {RetryMax} s apart")]
    public partial void NoLink(string to, string reason, double retryMax);

    [LoggerMessage(104, LogLevel.Debug, "Attempt {Attempt} to link with {To} failed: {Reason}; next in {Milliseconds} ms")]
    public partial void AttemptFailed(int attempt, string to, string reason, long milliseconds);

    [LoggerMessage(105, LogLevel.Warning, "Link from {Peer} was turned away: there are {MaxLinks} already (MaxLinks)")]
    public partial void TooMany(string peer, int maxLinks);

    [LoggerMessage(106, LogLevel.Warning, "Links cannot be accepted now: {Reason}")]
    public partial void AcceptFailed(string reason);

    [LoggerMessage(108, LogLevel.Warning,
        "Link {Peer} is closed after {Seconds:F1} s: {Reason}; {PacketsIn} packets and {BytesIn} bytes had come in")]
    public partial void Broken(string peer, string reason, double seconds, long packetsIn, long bytesIn);

    [LoggerMessage(109, LogLevel.Debug, "Link {Peer} never came up: {Reason}")]
    public partial void Unused(string peer, string reason);

    [LoggerMessage(110, LogLevel.Information, "{Section}: new certificates taken into use for links to come, valid until {NotAfter:u}")]
    public partial void CertificatesReloaded(string section, DateTime notAfter);

    [LoggerMessage(111, LogLevel.Warning, "{Section}: new certificates cannot be used, those in use stay: {Problems}")]
    public partial void CertificatesNotReloaded(string section, string problems);

    [LoggerMessage(EventId = 112, Message = "{Count} more links {What} in the last {Seconds} s; only the first are told one by one")]
    public partial void More(LogLevel level, long count, string what, int seconds);

    [LoggerMessage(107, LogLevel.Error, "Link {Peer} met an error of our own")]
    public partial void Unexpected(string peer, Exception exception);
}
