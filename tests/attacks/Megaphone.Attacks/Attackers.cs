using System.Net;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>What attackers share.</summary>
internal static class Attackers
{
    /// <summary>The address that attackers on links come from; honest ECMs come from another.</summary>
    public static IPAddress Address { get; } = IPAddress.Parse("127.0.0.9");

    /// <summary>Waits until it is time to end.</summary>
    public static async Task UntilAsync(this CancellationToken end)
    {
        while (!end.IsCancellationRequested) await Task.Delay(20, CancellationToken.None);
    }

    /// <summary>A hello as it is sent.</summary>
    /// <param name="name">The name, in quotes, in any encoding.</param>
    /// <param name="secret">The secret; null: none.</param>
    public static byte[] Hello(ReadOnlySpan<byte> name, string? secret) => Packet.Format(0,
    [
        .. "{\"op\":\"hello\",\"version\":1,\"name\":"u8, .. name,
        .. Encoding.UTF8.GetBytes(secret is null ? "" : $",\"secret\":\"{secret}\""), .. ",\"framing\":\"stanza\",\"maxPacket\":1048576}"u8,
    ]);
}
