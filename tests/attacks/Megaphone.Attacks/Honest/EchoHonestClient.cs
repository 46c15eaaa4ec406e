using System.Globalization;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>An honest client of a hub whose backend is an echo: what it sends must come back byte for byte.</summary>
internal sealed class EchoHonestClient : HonestClient
{
    private readonly byte[] _received = new byte[256];
    private readonly int _number;
    private int _said;

    private EchoHonestClient(Stream stream, int number)
        : base(stream) => _number = number;

    /// <summary>Sends what a client sends first, if anything.</summary>
    public static async Task<HonestClient> OpenAsync(Stream stream, bool stanzas, int number)
    {
        EchoHonestClient client = new(stream, number);
        if (stanzas) await client.AssertEchoesAsync("<stream:stream to='localhost' version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>");
        return client;
    }

    /// <inheritdoc/>
    public override Task PingAsync() => AssertEchoesAsync(string.Create(CultureInfo.InvariantCulture, $"<m from='{_number}'>{++_said}</m>"));

    private async Task AssertEchoesAsync(string text)
    {
        byte[] said = Encoding.ASCII.GetBytes(text);
        await Stream.WriteAsync(said);
        Memory<byte> received = _received.AsMemory(0, said.Length);
        await BoundedWait.WithinAsync(Stream.ReadExactlyAsync(received).AsTask(), "an echo");
        if (!received.Span.SequenceEqual(said)) throw new InvalidDataException($"{Encoding.ASCII.GetString(received.Span)} came back for {text}");
    }
}
