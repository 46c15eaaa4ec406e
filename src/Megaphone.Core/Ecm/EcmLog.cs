using System.Net;
using Megaphone.Xmpp;
using Microsoft.Extensions.Logging;

namespace Megaphone.Ecm;

/// <summary>The log lines of the ECM.</summary>
internal sealed partial class EcmLog(ILogger<EcmRole> logger)
{
    [LoggerMessage(200, LogLevel.Information, "ECM listens for clients on {Listen}, with {Links} link(s) to {To}")]
    public partial void Listening(string listen, int links, string to);

    [LoggerMessage(202, LogLevel.Debug, "The stream of client {Id} is refused: {Fault}")]
    public partial void StreamRefused(ulong id, StreamFault fault);

    /// <summary>Whether failed handshakes are logged.</summary>
    public bool LogsHandshakes => logger.IsEnabled(LogLevel.Debug);

    [LoggerMessage(203, LogLevel.Debug, "The TLS handshake with {Client} failed: {Reason}")]
    public partial void HandshakeFailed(IPEndPoint client, string reason);

    [LoggerMessage(204, LogLevel.Information, "{Count} new certificate(s) in use, valid until {NotAfter:u}")]
    public partial void CertificatesReloaded(int count, DateTime notAfter);

    [LoggerMessage(205, LogLevel.Warning, "New certificates cannot be used, the previous ones stay in use: {Problems}")]
    public partial void CertificatesNotReloaded(string problems);

    [LoggerMessage(201, LogLevel.Warning,
        "Clients were refused in the last {Seconds} s: {NoLink} without a link, {TooMany} above MaxClients, "
        + "{Descriptors} without a descriptor, {Memory} without memory, {LinkFull} with a full link")]
    public partial void Refused(int seconds, long noLink, long tooMany, long descriptors, long memory, long linkFull);
}
