using System.Net;

namespace Megaphone.Attacks;

/// <summary>
/// Records without data, of which TLS allows any number (RFC 8446, sections 5.1, 5.4 and 6; RFC 5246, sections 6.2.1 and 7.2): empty ones, some
/// with nothing but padding, or warnings.
/// </summary>
/// <param name="warns">Whether they are warnings.</param>
internal sealed class RecordFlood(bool warns) : TlsFlood
{
    private const int RecordsPerSecond = 60_000;

    /// <summary>Those with padding are 16 KB long.</summary>
    private const int PaddedPerSecond = 1_000;

    private const int PaddingBytes = 16_000;
    private const byte Warning = 1, UserCanceled = 90;

    /// <inheritdoc/>
    public override string Name => warns ? "warnings" : "empty-records";

    /// <inheritdoc/>
    public override string Summary => warns
        ? "TLS 1.2 and 1.3: clients send nothing but warnings"
        : "TLS 1.2 and 1.3: clients send nothing but empty records, some with padding";

    /// <inheritdoc/>
    public override Scene Scene => new() { HasPeers = true, Ecm = ["Ecm:Reactors=2"] };

    /// <inheritdoc/>
    public override int MinActions => 100;

    /// <inheritdoc/>
    protected override int Connections => 4;

    /// <inheritdoc/>
    protected override bool Reads(int number) => true;

    /// <summary>The first two clients speak TLS 1.3; of empty records the second one's are padded.</summary>
    protected override async Task<Flood> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length)
    {
        (byte type, byte[] content) = warns ? (HandmadeTls.Alert, [Warning, UserCanceled]) : (HandmadeTls.ApplicationData, Array.Empty<byte>());
        int padding = number == 1 && !warns ? PaddingBytes : 0;
        int records = (int)((padding > 0 ? PaddedPerSecond : RecordsPerSecond) * length.TotalSeconds);
        if (number < 2)
        {
            HandmadeTls tls = await HandmadeTls.ConnectAsync(to, keyLog);
            return new Flood(tls.Socket, Repeat(records, () => tls.Seal(type, content, padding)), records);
        }

        HandmadeTls12 older = await HandmadeTls12.ConnectAsync(to, keyLog);
        return new Flood(older.Socket, Repeat(records, () => older.Seal(type, content)), records);
    }

    private static byte[] Repeat(int count, Func<byte[]> make) => [.. Enumerable.Range(0, count).SelectMany(_ => make())];
}
