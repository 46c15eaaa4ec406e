using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Web;

/// <summary>The answers to a connection's first request: the server's opening handshake, and refusals in words.</summary>
internal static class HttpAnswer
{
    /// <summary>Nothing is served at that path.</summary>
    public static readonly byte[] NotFound = Refusal("404 Not Found", "There is nothing at this path.");

    /// <summary>A WebSocket is served at that path, and nothing else.</summary>
    public static readonly byte[] UpgradeRequired = Refusal(
        "426 Upgrade Required", "XMPP is spoken here over a WebSocket (RFC 7395): connect with wss:// or ws://.",
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");

    /// <summary>The request cannot be understood in one way only.</summary>
    public static readonly byte[] BadRequest = Refusal(
        "400 Bad Request", "The request is not that of a WebSocket as RFC 6455, section 4.2.1, has it.");

    /// <summary>The subprotocol is missing.</summary>
    public static readonly byte[] NoSubprotocol = Refusal(
        "400 Bad Request", "The subprotocol must be offered: Sec-WebSocket-Protocol: xmpp (RFC 7395, section 3.1).");

    /// <summary>Pages of that origin may not connect.</summary>
    public static readonly byte[] ForeignOrigin = Refusal("403 Forbidden", "Pages of this origin may not connect here.");

    /// <summary>The head is too long.</summary>
    public static readonly byte[] TooLong = Refusal("431 Request Header Fields Too Large", $"The head exceeds {RequestHead.MaxBytes} bytes.");

    /// <summary>A limit keeps the client's address out (RFC 6585, section 4): said without waiting for the request.</summary>
    public static readonly byte[] TooManyRequests = Refusal("429 Too Many Requests", "This address may not connect, or has too many connections.");

    /// <summary>The server behind the relay cannot be reached.</summary>
    public static readonly byte[] BadGateway = Refusal("502 Bad Gateway", "The server behind this one cannot be reached.");

    /// <summary>There is no room for what this connection needs.</summary>
    public static readonly byte[] Unavailable = Refusal("503 Service Unavailable", "There is no room for this connection now.");

    /// <summary>The length of the answer to a request for a WebSocket.</summary>
    public static readonly int SwitchingLength = SwitchingStart.Length + AcceptLength + SwitchingEnd.Length;

    /// <summary>The length of what <see cref="WriteAccept"/> writes.</summary>
    public const int AcceptLength = 28;

    private const int KeyLength = 24;

    private static ReadOnlySpan<byte> KeySuffix => "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"u8;

    private static ReadOnlySpan<byte> SwitchingStart =>
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "u8;

    private static ReadOnlySpan<byte> SwitchingEnd => "\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"u8;

    /// <summary>Writes the answer to a request for a WebSocket (RFC 6455, section 4.2.2). Allocates nothing: every client gets one.</summary>
    /// <param name="key">The request's <c>Sec-WebSocket-Key</c>.</param>
    /// <param name="to"><see cref="SwitchingLength"/> bytes.</param>
    public static void WriteSwitching(ReadOnlySpan<byte> key, Span<byte> to)
    {
        SwitchingStart.CopyTo(to);
        WriteAccept(key, to[SwitchingStart.Length..]);
        SwitchingEnd.CopyTo(to[(SwitchingStart.Length + AcceptLength)..]);
    }

    /// <summary>Writes the value of <c>Sec-WebSocket-Accept</c> that answers a key.</summary>
    /// <param name="key">The request's <c>Sec-WebSocket-Key</c>.</param>
    /// <param name="to">At least <see cref="AcceptLength"/> bytes.</param>
    public static void WriteAccept(ReadOnlySpan<byte> key, Span<byte> to)
    {
        Span<byte> joined = stackalloc byte[KeyLength + KeySuffix.Length];
        key.CopyTo(joined);
        KeySuffix.CopyTo(joined[KeyLength..]);
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
#pragma warning disable CA5350 // The RFC has SHA-1 for this, which protects nothing: it shows that the server has read the key.
        SHA1.HashData(joined, hash);
#pragma warning restore CA5350
        Base64.EncodeToUtf8(hash, to, out _, out _);
    }

    private static byte[] Refusal(string status, string words, string fields = "") => Encoding.ASCII.GetBytes(
        $"HTTP/1.1 {status}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {words.Length + 1}\r\n"
        + $"Connection: close\r\n\r\n{words}\n");
}
