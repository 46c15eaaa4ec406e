using Megaphone.Framing;
using Microsoft.Extensions.Logging;

namespace Megaphone.Ecm;

/// <summary>What the ECM tells the operator.</summary>
internal sealed partial class EcmLog(ILogger<EcmRole> logger)
{
    [LoggerMessage(200, LogLevel.Information, "ECM takes clients on {Listen}, {Links} link(s) to {To}")]
    public partial void Listening(string listen, int links, string to);

    [LoggerMessage(202, LogLevel.Debug, "The stream of client {Id} is refused: {Fault}")]
    public partial void StreamRefused(ulong id, StreamFault fault);

    [LoggerMessage(201, LogLevel.Warning,
        "Clients were refused in the last {Seconds} s: {NoLink} without a link, {TooMany} above MaxClients, {Descriptors} without a descriptor, {Memory} without memory, {LinkFull} with a full link")]
    public partial void Refused(int seconds, long noLink, long tooMany, long descriptors, long memory, long linkFull);
}
