using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.EndToEnd.Support;

/// <summary>A browser's end of a connection to a listener for the web, byte by byte in a test's hands.</summary>
internal sealed class BrowserConnection : IDisposable
{
    /// <summary>The beginning of a stream.</summary>
    public const string Open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

    /// <summary>The end of a stream as a server sends it.</summary>
    public const string Close = "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />";

    private const int MostBytes = 1 << 20;
    private static readonly byte[] Key = [0x37, 0xfa, 0x21, 0x3d];

    private readonly Stream _stream;

    private BrowserConnection(Stream stream) => _stream = stream;

    /// <summary>The local address.</summary>
    public required IPEndPoint Address { get; init; }

    /// <summary>Connects, with TLS if there is a protocol for it to name.</summary>
    public static async Task<BrowserConnection> ConnectAsync(IPEndPoint to, string? alpn = null)
    {
        Socket socket = new(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await BoundedWait.WithinAsync(socket.ConnectAsync(to), $"a connection to {to}");
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        if (alpn is not null)
        {
            SslStream secured = new(stream, leaveInnerStreamOpen: false, (_, certificate, _, _) => certificate is not null);
            await BoundedWait.WithinAsync(
                secured.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
                {
                    TargetHost = "localhost",
                    ApplicationProtocols = [new SslApplicationProtocol(alpn)],
                }),
                "a TLS handshake");
            stream = secured;
        }

        return new BrowserConnection(stream) { Address = (IPEndPoint)socket.LocalEndPoint! };
    }

    /// <summary>Connects, and makes it a WebSocket.</summary>
    public static async Task<BrowserConnection> UpgradedAsync(IPEndPoint to, string? alpn = null, params string[] fields)
    {
        BrowserConnection client = await ConnectAsync(to, alpn);
        await client.SendAsync(Request(fields));
        string answer = await client.ReceiveHeadAsync();
        Assert.StartsWith("HTTP/1.1 101 Switching Protocols\r\n", answer);
        Assert.Contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", answer);
        return client;
    }

    /// <summary>A request for the WebSocket, with more fields.</summary>
    public static string Request(params string[] fields) =>
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n{string.Concat(fields.Select(field => field + "\r\n"))}\r\n";

    /// <summary>A frame as a client sends it.</summary>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload, bool final = true)
    {
        List<byte> frame = [(byte)(opcode | (final ? 0x80 : 0))];
        byte[] length = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(length, (ulong)payload.Length);
        if (payload.Length < 126) frame.Add((byte)(0x80 | payload.Length));
        else if (payload.Length < 1 << 16) frame.AddRange([0xFE, .. length[6..]]);
        else frame.AddRange([0xFF, .. length]);
        frame.AddRange(Key);
        for (int i = 0; i < payload.Length; i++) frame.Add((byte)(payload[i] ^ Key[i % 4]));
        return [.. frame];
    }

    /// <summary>A text message as a client sends it.</summary>
    public static byte[] Text(string text, bool final = true) => Frame(1, Encoding.UTF8.GetBytes(text), final);

    /// <summary>Sends bytes as they are.</summary>
    public Task SendAsync(ReadOnlyMemory<byte> bytes) => BoundedWait.WithinAsync(_stream.WriteAsync(bytes).AsTask(), "room to send");

    /// <summary>Sends text as it is.</summary>
    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>Sends a text message.</summary>
    public Task SendTextAsync(string text) => SendAsync(Text(text));

    /// <summary>Reads the head of an answer.</summary>
    public async Task<string> ReceiveHeadAsync()
    {
        StringBuilder head = new();
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal)) head.Append((char)(await ReceiveAsync(1))[0]);
        return head.ToString();
    }

    /// <summary>Reads until the other end has ended its direction.</summary>
    public async Task<string> ReceiveToEndAsync()
    {
        using MemoryStream all = new();
        await BoundedWait.WithinAsync(_stream.CopyToAsync(all), "the end of the other direction");
        return Encoding.Latin1.GetString(all.ToArray());
    }

    /// <summary>Reads one frame.</summary>
    public async Task<(int Opcode, bool Final, byte[] Payload)> ReceiveFrameAsync()
    {
        byte[] header = await ReceiveAsync(2);
        Assert.Equal(0, header[0] & 0x70);
        Assert.True(header[1] < 127, "A server does not mask, and sends no frame of 64 KiB.");
        int length = header[1] < 126 ? header[1] : BinaryPrimitives.ReadUInt16BigEndian(await ReceiveAsync(2));
        return (header[0] & 15, header[0] >= 128, await ReceiveAsync(length));
    }

    /// <summary>Reads a text message.</summary>
    public async Task<string> ReceiveTextAsync()
    {
        using MemoryStream message = new();
        for (int expected = 1; ; expected = 0)
        {
            (int opcode, bool final, byte[] payload) = await ReceiveFrameAsync();
            Assert.Equal(expected, opcode);
            message.Write(payload);
            if (final) return Encoding.UTF8.GetString(message.ToArray());
        }
    }

    /// <summary>Reads the next message, which must be this one.</summary>
    public async Task AssertTextAsync(string text) => Assert.Equal(text, await ReceiveTextAsync());

    /// <summary>Reads a close frame, which must have this code, and the end of the connection.</summary>
    public async Task AssertClosesAsync(int? code)
    {
        (int opcode, bool final, byte[] payload) = await ReceiveFrameAsync();
        Assert.Equal((8, true), (opcode, final));
        Assert.Equal(code, payload.Length == 0 ? null : BinaryPrimitives.ReadUInt16BigEndian(payload));
        Assert.Equal("", await ReceiveToEndAsync());
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private async Task<byte[]> ReceiveAsync(int count)
    {
        Assert.InRange(count, 0, MostBytes);
        byte[] bytes = new byte[count];
        await BoundedWait.WithinAsync(_stream.ReadExactlyAsync(bytes).AsTask(), $"{count} bytes");
        return bytes;
    }
}
