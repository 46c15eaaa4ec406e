using System.Net;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>
/// Nothing but key updates (RFC 8446, section 4.6.3), which OpenSSL takes one after the other without giving the reactor its thread back.
/// </summary>
/// <param name="asks">
/// Whether each wants an answer, which one client reads and the other does not. Else the clients have logged in, and first write themselves so
/// much, which they do not read, that it still comes over the link when the flood begins: so that its receiver finds their slots' gates held.
/// </param>
internal sealed class KeyUpdateFlood(bool asks) : TlsFlood
{
    /// <summary>What one thread of OpenSSL takes in a second on a fast core.</summary>
    private const int UpdatesPerSecond = 60_000;

    private const int FirstWords = 32;
    private const int FirstWordBytes = 16_000;

    /// <inheritdoc/>
    public override string Name => asks ? "key-updates-asked" : "key-updates";

    /// <inheritdoc/>
    public override string Summary => asks
        ? "TLS 1.3: clients that never log in send key updates that want answers"
        : "TLS 1.3: clients send nothing but key updates, while what they have written themselves comes to them";

    /// <inheritdoc/>
    public override Scene Scene => new() { HasPeers = true, Ecm = ["Ecm:Reactors=2"] };

    /// <inheritdoc/>
    public override int MinActions => 100;

    /// <inheritdoc/>
    protected override int Connections => 2;

    /// <inheritdoc/>
    protected override bool Reads(int number) => asks && number == 0;

    /// <inheritdoc/>
    protected override async Task<Flood> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length)
    {
        HandmadeTls tls = await HandmadeTls.ConnectAsync(to, keyLog);
        int words = asks ? 0 : FirstWords, updates = (int)(UpdatesPerSecond * length.TotalSeconds);
        string address = asks ? "" : await HandmadeLogin.MakeAsync(tls);
        byte[] word = Encoding.ASCII.GetBytes($"<message type='chat' to='{address}'><body>{new string('x', FirstWordBytes)}</body></message>");
        byte[] first = [.. Enumerable.Range(0, words).SelectMany(_ => tls.Seal(HandmadeTls.ApplicationData, word))];
        return new Flood(tls.Socket, [.. first, .. tls.SealKeyUpdates(updates, asks)], words + updates);
    }
}
