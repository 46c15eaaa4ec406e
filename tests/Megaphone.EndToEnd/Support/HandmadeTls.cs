using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Megaphone.EndToEnd.Support;

/// <summary>
/// A client with TLS 1.3 whose records, behind the handshake, a test makes itself (RFC 8446, sections 5.2 and 7.2): what no
/// library would send can be sent.
/// </summary>
/// <remarks>
/// <c>openssl s_client</c> makes the handshake through this object, which reads the keys from its key log and takes over the connection.
/// One thread at a time.
/// </remarks>
internal sealed class HandmadeTls : IDisposable
{
    /// <summary>Type of a record with a handshake message, or part of one.</summary>
    public const byte Handshake = 22;

    /// <summary>Type of a record with an alert.</summary>
    public const byte Alert = 21;

    /// <summary>The record type of application data.</summary>
    public const byte ApplicationData = 23;

    /// <summary>Bytes of a record with a key update in it.</summary>
    public const int KeyUpdateRecordBytes = HeaderBytes + 6 + TagBytes;

    private const int HeaderBytes = 5;
    private const int TagBytes = 16;
    private const int SecretBytes = 32;
    private const int KeyBytes = 16;
    private const int NonceBytes = 12;

    private readonly Socket _socket;
    private readonly List<byte> _received = [];
    private byte[] _ownSecret;
    private byte[] _peerSecret;
    private ulong _sent;
    private ulong _taken;

    private HandmadeTls(Socket socket, byte[] ownSecret, byte[] peerSecret) =>
        (_socket, _ownSecret, _peerSecret) = (socket, ownSecret, peerSecret);

    /// <summary>The TCP connection.</summary>
    public Socket Socket => _socket;

    /// <summary>Key updates that the other end has sent.</summary>
    public int KeyUpdates { get; private set; }

    /// <summary>Connects; the handshake is done, and nothing has been sent after it.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="keyLog">A file that may be written.</param>
    public static async Task<HandmadeTls> ConnectAsync(IPEndPoint to, string keyLog)
    {
        byte[]? own = null, peers = null;
        RelayedHandshake made = await RelayedHandshake.MakeAsync(to, keyLog, ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], () =>
        {
            own = Secret(keyLog, "CLIENT_TRAFFIC_SECRET_0");
            peers = Secret(keyLog, "SERVER_TRAFFIC_SECRET_0");
            return own is not null && peers is not null;
        });
        HandmadeTls tls = new(made.Socket, own!, peers!);
        tls._received.AddRange(made.Received);
        return tls;
    }

    /// <summary>Sends one record.</summary>
    /// <param name="type">Of what is in it.</param>
    /// <param name="content">Its content; may be part of a handshake message.</param>
    public Task SendAsync(byte type, ReadOnlySpan<byte> content) => SendRawAsync(Seal(type, content));

    /// <summary>Sends bytes as they are.</summary>
    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await BoundedWait.WithinAsync(_socket.SendAsync(bytes).AsTask(), "room to send")..];
    }

    /// <summary>Makes one record, which must be the next that is sent.</summary>
    /// <param name="type">Of what is in it.</param>
    /// <param name="content">Its content; may be part of a handshake message.</param>
    /// <param name="padding">How many zeros follow the type (RFC 8446, section 5.4).</param>
    public byte[] Seal(byte type, ReadOnlySpan<byte> content, int padding = 0)
    {
        byte[] record = new byte[HeaderBytes + content.Length + 1 + padding + TagBytes];
        Seal(type, content, record);
        return record;
    }

    /// <summary>Makes so many records with a key update each, which must be the next that are sent; some microseconds each.</summary>
    /// <param name="count">How many.</param>
    /// <param name="ask">Whether the other end is to use its next keys, too, each time.</param>
    public byte[] SealKeyUpdates(int count, bool ask)
    {
        byte[] records = new byte[count * KeyUpdateRecordBytes];
        byte[] update = KeyUpdate(ask);
        for (int at = 0; at < records.Length; at += KeyUpdateRecordBytes)
        {
            Seal(Handshake, update, records.AsSpan(at, KeyUpdateRecordBytes));
            UpdateOwnKeys();
        }

        return records;
    }

    /// <summary>From now on this end uses its next keys: to be called when a whole key update has been sent.</summary>
    public void UpdateOwnKeys() => (_ownSecret, _sent) = (NextSecret(_ownSecret), 0);

    /// <summary>Reads this much application data. Key updates and tickets from the other end are handled.</summary>
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
                if (record.Type != Handshake || record.Content[0] != KeyUpdate(false)[0]) return record;
                (_peerSecret, _taken) = (NextSecret(_peerSecret), 0);
                KeyUpdates++;
                return record;
            }

            int read = await BoundedWait.WithinAsync(_socket.ReceiveAsync(some), what);
            if (read == 0) throw new EndOfStreamException($"The connection ended instead of {what}.");
            _received.AddRange(some.AsSpan(0, read));
        }
    }

    /// <summary>The message that this end uses its next keys (RFC 8446, section 4.6.3).</summary>
    /// <param name="ask">Whether the other end is to do so, too.</param>
    public static byte[] KeyUpdate(bool ask) => [24, 0, 0, 1, ask ? (byte)1 : (byte)0];

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    /// <summary>Takes the next record that is sealed with the other end's keys; null when it has not come.</summary>
    private (byte Type, byte[] Content)? Take()
    {
        Span<byte> key = stackalloc byte[KeyBytes], nonce = stackalloc byte[NonceBytes];
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
            KeyAndNonce(_peerSecret, _taken, key, nonce);
            using AesGcm cipher = new(key, TagBytes);
            try
            {
                cipher.Decrypt(nonce, body.AsSpan(..^TagBytes), body.AsSpan(^TagBytes..), content, header);
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

    private void Seal(byte type, ReadOnlySpan<byte> content, Span<byte> record)
    {
        (record[0], record[1], record[2]) = (ApplicationData, 3, 3);
        BinaryPrimitives.WriteUInt16BigEndian(record[3..], (ushort)(record.Length - HeaderBytes));
        Span<byte> inner = record[HeaderBytes..^TagBytes], key = stackalloc byte[KeyBytes], nonce = stackalloc byte[NonceBytes];
        content.CopyTo(inner);
        inner[content.Length] = type;
        KeyAndNonce(_ownSecret, _sent++, key, nonce);
        using AesGcm cipher = new(key, TagBytes);
        cipher.Encrypt(nonce, inner, inner, record[^TagBytes..], record[..HeaderBytes]);
    }

    private static byte[] NextSecret(byte[] secret)
    {
        byte[] next = new byte[SecretBytes];
        Expand(secret, "tls13 traffic upd"u8, next);
        return next;
    }

    private static void KeyAndNonce(byte[] secret, ulong number, Span<byte> key, Span<byte> nonce)
    {
        Expand(secret, "tls13 key"u8, key);
        Expand(secret, "tls13 iv"u8, nonce);
        Span<byte> end = nonce[4..];
        BinaryPrimitives.WriteUInt64BigEndian(end, BinaryPrimitives.ReadUInt64BigEndian(end) ^ number);
    }

    /// <summary>
    /// HKDF-Expand-Label without a context (RFC 8446, section 7.1), for no more than one block, which is one HMAC (RFC 5869, section 2.3).
    /// </summary>
    private static void Expand(byte[] secret, ReadOnlySpan<byte> label, Span<byte> into)
    {
        Span<byte> info = stackalloc byte[5 + label.Length], block = stackalloc byte[SecretBytes];
        info.Clear();
        (info[1], info[2], info[^1]) = ((byte)into.Length, (byte)label.Length, 1);
        label.CopyTo(info[3..]);
        HMACSHA256.HashData(secret, info, block);
        block[..into.Length].CopyTo(into);
    }
}
