using Megaphone.Xmpp;
using Microsoft.Extensions.Logging;

namespace Megaphone.Ecm;

/// <summary>The log lines of the ECM.</summary>
internal sealed partial class EcmLog(ILogger<EcmRole> logger)
{
    [LoggerMessage(200, LogLevel.Information, "ECM listens for clients on {Listen}, with {Links} link(s) to each of {To}")]
    public partial void Listening(string listen, int links, string to);

    [LoggerMessage(206, LogLevel.Information,
        "Server {Server} gets new clients: its first link, {Address}, is up, and {Servers} server(s) are in use")]
    public partial void ServerUp(string server, string address, int servers);

    [LoggerMessage(207, LogLevel.Warning,
        "Server {Server} is out: its last link, {Address}, is down; {Clients} clients on it are disconnected, and {Servers} server(s) are left")]
    public partial void ServerDown(string server, string address, int clients, int servers);

    [LoggerMessage(215, LogLevel.Warning, "Server {Server} is gone for good, says another server: its links that are cut are not waited for")]
    public partial void ServerGone(string server);

    [LoggerMessage(208, LogLevel.Information, "{Address} is listed by name servers no more: it gets no new clients, and its {Clients} stay")]
    public partial void AddressLeft(string address, int clients);

    [LoggerMessage(209, LogLevel.Warning,
        "{Address} leads to {Server}, as {Other} does, and gets no clients: if these are two servers, give each a name of its own (Hub:Name)")]
    public partial void SameServer(string address, string server, string other);

    [LoggerMessage(210, LogLevel.Debug, "{Address} leads to {Server}, as {Other} does: its links stand by")]
    public partial void AlsoLeadsTo(string address, string server, string other);

    [LoggerMessage(211, LogLevel.Warning, "The name {Host} cannot be looked up: {Reason}; the addresses that are known stay in use")]
    public partial void Unresolved(string host, string reason);

    [LoggerMessage(212, LogLevel.Warning, "{Address} gets no link: there are {MaxLinks} already")]
    public partial void TooManyLinks(string address, int maxLinks);

    [LoggerMessage(221, LogLevel.Debug,
        "Client {Id} from {Address} at {Listener}, {Tls}, has gone after {Seconds} s: {Reason}; {BytesIn} bytes in, {BytesOut} bytes out")]
    public partial void ClientEnded(
        ulong id, string address, string listener, string tls, long seconds, string reason, long bytesIn, long bytesOut);

    [LoggerMessage(202, LogLevel.Debug, "The stream of client {Id} from {Address} is refused: {Fault}")]
    public partial void StreamRefused(ulong id, string address, StreamFault fault);

    [LoggerMessage(216, LogLevel.Debug, "The WebSocket of client {Id} from {Address} is closed with {Code}: its frames are not accepted")]
    public partial void FramesRefused(ulong id, string address, int code);

    /// <summary>Whether single clients are logged.</summary>
    public bool LogsClients => logger.IsEnabled(LogLevel.Debug);

    [LoggerMessage(203, LogLevel.Debug, "The TLS handshake with {Client} failed: {Reason}")]
    public partial void HandshakeFailed(string client, string reason);

    [LoggerMessage(204, LogLevel.Information, "{Count} new certificate(s) in use, valid until {NotAfter:u}")]
    public partial void CertificatesReloaded(int count, DateTime notAfter);

    [LoggerMessage(205, LogLevel.Warning, "New certificates cannot be used, the previous ones stay in use: {Problems}")]
    public partial void CertificatesNotReloaded(string problems);

    [LoggerMessage(201, LogLevel.Warning,
        "Clients were refused in the last {Seconds} s: {NoLink} without a link, {TooMany} above MaxClients, "
        + "{Descriptors} without a descriptor, {Memory} without memory, {LinkFull} with a full link, {Draining} while draining, "
        + "{ProxyHeader} without a right PROXY header")]
    public partial void Refused(
        int seconds, long noLink, long tooMany, long descriptors, long memory, long linkFull, long draining, long proxyHeader);

    [LoggerMessage(217, LogLevel.Warning, "Limits kept out or ended clients in the last {Seconds} s: {Limits}")]
    public partial void Limited(int seconds, string limits);

    [LoggerMessage(213, LogLevel.Information, "ECM drains: no new clients, and its {Clients} clients are ended within {Time}")]
    public partial void Draining(long clients, string time);

    [LoggerMessage(214, LogLevel.Information, "ECM is drained after {Seconds:F1} s: {Clients} clients are left")]
    public partial void Drained(double seconds, long clients);

    [LoggerMessage(219, LogLevel.Information, "Server {Server} is drained: it gets no new clients, and its {Clients} are ended within {Time}")]
    public partial void DrainingServer(string server, int clients, string time);

    [LoggerMessage(220, LogLevel.Error, "Ecm:Clients:{Number}:Listen is left out until the next reload: {Reason}")]
    public partial void NotListening(int number, string reason);

    [LoggerMessage(218, LogLevel.Warning, "{Note}")]
    public partial void Unchanged(string note);
}
