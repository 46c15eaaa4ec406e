using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.EndToEnd.Support;

/// <summary>
/// A client with TLS 1.3 whose records, behind the handshake, a test makes itself (RFC 8446, sections 5.2 and 7.2): what no
/// library would send can be sent.
/// </summary>
/// <remarks>
/// <c>openssl s_client</c> makes the handshake through this object, which learns the keys from its log and takes the connection over.
/// One thread at a time.
/// </remarks>
internal sealed class HandmadeTls : IDisposable
{
    /// <summary>Type of a record with a handshake message, or part of one.</summary>
    public const byte Handshake = 22;

    /// <summary>Type of a record with an alert.</summary>
    public const byte Alert = 21;

    /// <summary>Type of a record with what the application says.</summary>
    public const byte ApplicationData = 23;

    private const int HeaderBytes = 5;
    private const int TagBytes = 16;
    private const int SecretBytes = 32;

    private readonly Socket _socket;
    private readonly List<byte> _received = [];
    private byte[] _ownSecret;
    private byte[] _peerSecret;
    private ulong _sent;
    private ulong _taken;

    private HandmadeTls(Socket socket, byte[] ownSecret, byte[] peerSecret) =>
        (_socket, _ownSecret, _peerSecret) = (socket, ownSecret, peerSecret);

    /// <summary>What TCP carries.</summary>
    public Socket Socket => _socket;

    /// <summary>Connects; the handshake is done, and nothing has been said behind it.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="keyLog">A file that may be written.</param>
    public static async Task<HandmadeTls> ConnectAsync(IPEndPoint to, string keyLog)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using ChildProcess client = ChildProcess.Start(
            ["openssl", "s_client", "-connect", $"{listener.LocalEndPoint}", "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256",
                "-servername", "localhost", "-keylogfile", keyLog, "-brief"]);
        using Socket near = await Patience.WithinAsync(listener.AcceptAsync(), "openssl");
        Socket far = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await Patience.WithinAsync(far.ConnectAsync(to), $"a connection to {to}");

        byte[] some = new byte[64 << 10];
        byte[]? own = null, peers = null;
        List<byte> received = [];
        bool established = false;
        while (own is null || peers is null || !established)
        {
            // Looked at before the last bytes are passed on: openssl says it behind its Finished.
            established = client.Errors.Contains("CONNECTION ESTABLISHED");
            foreach ((Socket from, Socket into) in ((Socket, Socket)[])[(near, far), (far, near)])
            {
                if (!from.Poll(10_000, SelectMode.SelectRead)) continue;
                int read = await Patience.WithinAsync(from.ReceiveAsync(some), "the handshake");
                Assert.True(read > 0, $"The handshake did not end well: {client.Said}");
                if (from == far) received.AddRange(some.AsSpan(0, read));
                await Patience.WithinAsync(into.SendAsync(some.AsMemory(0, read)).AsTask(), "the handshake");
            }

            own = Secret(keyLog, "CLIENT_TRAFFIC_SECRET_0");
            peers = Secret(keyLog, "SERVER_TRAFFIC_SECRET_0");
        }

        HandmadeTls made = new(far, own, peers);
        made._received.AddRange(received);
        return made;
    }

    /// <summary>Sends one record.</summary>
    /// <param name="type">Of what is in it.</param>
    /// <param name="content">What is in it; may be part of a handshake message.</param>
    public Task SendAsync(byte type, ReadOnlySpan<byte> content) => SendRawAsync(Seal(type, content));

    /// <summary>Sends bytes as they are.</summary>
    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await Patience.WithinAsync(_socket.SendAsync(bytes).AsTask(), "room to send")..];
    }

    /// <summary>Makes one record, which must be the next that is sent.</summary>
    public byte[] Seal(byte type, ReadOnlySpan<byte> content)
    {
        byte[] record = new byte[HeaderBytes + content.Length + 1 + TagBytes];
        Header(record, record.Length - HeaderBytes);
        Span<byte> sealedContent = record.AsSpan(HeaderBytes, content.Length + 1);
        using AesGcm cipher = new(Expand(_ownSecret, "key", 16), TagBytes);
        cipher.Encrypt(Nonce(_ownSecret, _sent++), [.. content, type], sealedContent, record.AsSpan(^TagBytes..), record.AsSpan(0, HeaderBytes));
        return record;
    }

    /// <summary>From now on this end uses its next keys: to be called when a whole key update has been sent.</summary>
    public void UpdateOwnKeys() => (_ownSecret, _sent) = (Expand(_ownSecret, "traffic upd", SecretBytes), 0);

    /// <summary>Reads application data until so much has come. What the other end says of keys and tickets is understood.</summary>
    public async Task<byte[]> ReceiveAsync(int count)
    {
        using MemoryStream all = new();
        while (all.Length < count)
        {
            (byte type, byte[] content) = await ReceiveRecordAsync($"{count - all.Length} bytes more");
            if (type == ApplicationData) all.Write(content);
        }

        return all.ToArray();
    }

    /// <summary>Reads until the other end sends an alert.</summary>
    /// <returns>Its description (RFC 8446, section 6).</returns>
    public async Task<byte> ReceiveAlertAsync()
    {
        while (true)
        {
            (byte type, byte[] content) = await ReceiveRecordAsync("an alert");
            if (type == Alert) return content[1];
        }
    }

    private async Task<(byte Type, byte[] Content)> ReceiveRecordAsync(string what)
    {
        byte[] some = new byte[64 << 10];
        while (true)
        {
            if (Take() is { } record)
            {
                if (record.Type == Handshake && record.Content[0] == KeyUpdate(false)[0])
                    (_peerSecret, _taken) = (Expand(_peerSecret, "traffic upd", SecretBytes), 0);
                return record;
            }

            int read = await Patience.WithinAsync(_socket.ReceiveAsync(some), what);
            Assert.True(read > 0, $"The connection ended instead of {what}.");
            _received.AddRange(some.AsSpan(0, read));
        }
    }

    /// <summary>The message that says that this end uses its next keys (RFC 8446, section 4.6.3).</summary>
    /// <param name="ask">Whether the other end is to do so, too.</param>
    public static byte[] KeyUpdate(bool ask) => [24, 0, 0, 1, ask ? (byte)1 : (byte)0];

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    /// <summary>Takes the next record that is sealed with the other end's keys; null when it has not come.</summary>
    private (byte Type, byte[] Content)? Take()
    {
        while (_received.Count >= HeaderBytes)
        {
            byte[] header = [.. _received.Take(HeaderBytes)];
            int length = BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(3));
            if (_received.Count < HeaderBytes + length) return null;
            byte[] body = [.. _received.Skip(HeaderBytes).Take(length)];
            _received.RemoveRange(0, HeaderBytes + length);

            // The handshake's own records were sealed with other keys, and are nothing here.
            if (header[0] != ApplicationData || length <= TagBytes) continue;
            byte[] content = new byte[length - TagBytes];
            using AesGcm cipher = new(Expand(_peerSecret, "key", 16), TagBytes);
            try
            {
                cipher.Decrypt(Nonce(_peerSecret, _taken), body.AsSpan(..^TagBytes), body.AsSpan(^TagBytes..), content, header);
            }
            catch (AuthenticationTagMismatchException) when (_taken == 0)
            {
                continue;
            }

            _taken++;
            return (content[^1], content[..^1]);
        }

        return null;
    }

    private static byte[]? Secret(string keyLog, string name)
    {
        if (!File.Exists(keyLog)) return null;
        string? line = File.ReadAllLines(keyLog).LastOrDefault(line => line.StartsWith(name + " ", StringComparison.Ordinal));
        string? secret = line?.Split(' ')[2];
        return secret?.Length == 2 * SecretBytes ? Convert.FromHexString(secret) : null;
    }

    private static void Header(Span<byte> record, int length)
    {
        (record[0], record[1], record[2]) = (ApplicationData, 3, 3);
        BinaryPrimitives.WriteUInt16BigEndian(record[3..], (ushort)length);
    }

    private static byte[] Nonce(byte[] secret, ulong number)
    {
        byte[] nonce = Expand(secret, "iv", 12);
        Span<byte> end = nonce.AsSpan(4);
        BinaryPrimitives.WriteUInt64BigEndian(end, BinaryPrimitives.ReadUInt64BigEndian(end) ^ number);
        return nonce;
    }

    /// <summary>HKDF-Expand-Label without a context (RFC 8446, section 7.1).</summary>
    private static byte[] Expand(byte[] secret, string label, int length)
    {
        byte[] name = Encoding.ASCII.GetBytes("tls13 " + label);
        return HKDF.Expand(HashAlgorithmName.SHA256, secret, length, [(byte)(length >> 8), (byte)length, (byte)name.Length, .. name, 0]);
    }
}
