using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Megaphone.Values;
using Megaphone.Web;

namespace Megaphone.Bench;

/// <summary>
/// The client's side of a WebSocket's opening handshake for XMPP: RFC 6455, sections 4.1 and 4.2.2, and RFC 7395, section 3.1. Pure, no I/O;
/// thread-safe.
/// </summary>
/// <remarks>The key of a connection is made of its index and of what is random for the run: so it need not be kept until the answer comes.</remarks>
internal sealed class WebHandshake(HostPort to, string path)
{
    /// <summary>The longest head of an answer that is read, in bytes.</summary>
    public const int MaxAnswerBytes = RequestHead.MaxBytes;

    private const int KeyBytes = 16;
    private const int LongestStatus = 60;

    private readonly byte[] _random = RandomNumberGenerator.GetBytes(KeyBytes - sizeof(int));

    /// <summary>The request of a connection.</summary>
    public byte[] Request(int index) => Encoding.UTF8.GetBytes(
        $"GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KeyOf(index)}\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n");

    /// <summary>Checks the answer to a connection's request.</summary>
    /// <param name="index">The connection's index.</param>
    /// <param name="head">The whole head, without the empty line.</param>
    /// <returns>Null; or why it is no WebSocket for XMPP, in words without anything of this client alone.</returns>
    public string? Check(int index, ReadOnlySpan<byte> head)
    {
        string[] lines = Encoding.ASCII.GetString(head).Split("\r\n");
        if (!lines[0].StartsWith("HTTP/1.1 101", StringComparison.Ordinal))
            return $"no WebSocket, the server answers: {Printable(lines[0])}";
        if (!IsOnly(lines, "Upgrade", "websocket", StringComparison.OrdinalIgnoreCase)
            || !IsOnly(lines, "Connection", "Upgrade", StringComparison.OrdinalIgnoreCase))
            return "the server answers as if it upgraded a connection, but not to a WebSocket";
        if (!IsOnly(lines, "Sec-WebSocket-Accept", AcceptOf(index), StringComparison.Ordinal))
            return "the server's Sec-WebSocket-Accept does not answer the request";
        return IsOnly(lines, "Sec-WebSocket-Protocol", "xmpp", StringComparison.Ordinal) ? null : "the server does not choose the subprotocol xmpp";
    }

    private static string Printable(string status) =>
        string.Concat(status.Take(LongestStatus).Select(letter => char.IsControl(letter) ? '?' : letter));

    /// <summary>Whether a field is there once, with this value.</summary>
    private static bool IsOnly(string[] lines, string name, string value, StringComparison comparison)
    {
        string[] found = [.. lines.Skip(1).Where(line => line.StartsWith($"{name}:", StringComparison.OrdinalIgnoreCase))];
        return found is [string only] && only[(name.Length + 1)..].Trim().Equals(value, comparison);
    }

    private string KeyOf(int index)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        _random.CopyTo(key);
        BinaryPrimitives.WriteInt32LittleEndian(key[_random.Length..], index);
        return Convert.ToBase64String(key);
    }

    private string AcceptOf(int index)
    {
        Span<byte> accept = stackalloc byte[HttpAnswer.AcceptLength];
        HttpAnswer.WriteAccept(Encoding.ASCII.GetBytes(KeyOf(index)), accept);
        return Encoding.ASCII.GetString(accept);
    }
}
