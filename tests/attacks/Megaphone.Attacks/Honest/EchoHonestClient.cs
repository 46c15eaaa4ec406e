using System.Globalization;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>An honest client of a hub whose backend is an echo: what it sends must come back byte for byte.</summary>
internal sealed class EchoHonestClient(Stream stream, int number) : HonestClient(stream)
{
    private readonly byte[] _received = new byte[256];
    private int _said;

    /// <inheritdoc/>
    public override async Task SayAsync()
    {
        byte[] said = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"<m from='{number}'>{++_said}</m>"));
        await Stream.WriteAsync(said);
        Memory<byte> received = _received.AsMemory(0, said.Length);
        await BoundedWait.WithinAsync(Stream.ReadExactlyAsync(received).AsTask(), "an echo");
        if (received.Span.SequenceEqual(said)) return;
        throw new InvalidDataException($"{Encoding.ASCII.GetString(received.Span)} came back for {Encoding.ASCII.GetString(said)}");
    }
}
