using System.Net;
using Megaphone.Xmpp;
using Microsoft.Extensions.Logging;

namespace Megaphone.Ecm;

/// <summary>What the ECM tells the operator.</summary>
internal sealed partial class EcmLog(ILogger<EcmRole> logger)
{
    [LoggerMessage(200, LogLevel.Information, "ECM takes clients on {Listen}, {Links} link(s) to {To}")]
    public partial void Listening(string listen, int links, string to);

    [LoggerMessage(202, LogLevel.Debug, "The stream of client {Id} is refused: {Fault}")]
    public partial void StreamRefused(ulong id, StreamFault fault);

    /// <summary>Whether anybody reads why handshakes fail.</summary>
    public bool TellsHandshakes => logger.IsEnabled(LogLevel.Debug);

    [LoggerMessage(203, LogLevel.Debug, "The TLS handshake with {Client} failed: {Reason}")]
    public partial void HandshakeFailed(IPEndPoint client, string reason);

    [LoggerMessage(204, LogLevel.Information, "{Count} certificate(s) taken into use, valid until {NotAfter:u}")]
    public partial void CertificatesReloaded(int count, DateTime notAfter);

    [LoggerMessage(205, LogLevel.Warning, "New certificates cannot be used, those in use stay: {Problems}")]
    public partial void CertificatesNotReloaded(string problems);

    [LoggerMessage(201, LogLevel.Warning,
        "Clients were refused in the last {Seconds} s: {NoLink} without a link, {TooMany} above MaxClients, {Descriptors} without a descriptor, {Memory} without memory, {LinkFull} with a full link")]
    public partial void Refused(int seconds, long noLink, long tooMany, long descriptors, long memory, long linkFull);
}
