using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.EndToEnd.Support;

/// <summary>
/// A client with TLS 1.2 whose records, behind the handshake, a test makes itself (RFC 5246, section 6.2; RFC 5288): what no
/// library would send can be sent.
/// </summary>
/// <remarks>As <see cref="HandmadeTls"/> is for TLS 1.3. Input from the other end is not decrypted. One thread at a time.</remarks>
internal sealed class HandmadeTls12 : IDisposable
{
    /// <summary>The longest content of a record.</summary>
    public const int MaxContentBytes = 16 << 10;

    private const int HeaderBytes = 5;
    private const int RandomBytes = 32;
    private const int MasterBytes = 48;
    private const int KeyBytes = 16;
    private const int SaltBytes = 4;
    private const int ExplicitNonceBytes = 8;
    private const int TagBytes = 16;

    private readonly AesGcm _cipher;
    private readonly byte[] _salt;

    // Number 0 was the client's Finished.
    private ulong _sent = 1;

    private HandmadeTls12(Socket socket, byte[] master, byte[] clientRandom, byte[] serverRandom)
    {
        Socket = socket;

        // The client's key, the server's, the client's salt, the server's; AEAD ciphers have no keys for MACs (RFC 5246, section 6.3).
        byte[] block = Prf(master, "key expansion", [.. serverRandom, .. clientRandom], 2 * (KeyBytes + SaltBytes));
        _cipher = new AesGcm(block.AsSpan(0, KeyBytes), TagBytes);
        _salt = block[(2 * KeyBytes)..(2 * KeyBytes + SaltBytes)];
    }

    /// <summary>The TCP connection.</summary>
    public Socket Socket { get; }

    /// <summary>Connects; the handshake is done, and nothing has been sent after it.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="keyLog">A file that may be written.</param>
    public static async Task<HandmadeTls12> ConnectAsync(IPEndPoint to, string keyLog)
    {
        byte[] random = [], master = [];
        RelayedHandshake made = await RelayedHandshake.MakeAsync(
            to, keyLog, ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"], () =>
            {
                if (!File.Exists(keyLog)) return false;
                string? line = File.ReadAllLines(keyLog).LastOrDefault(line => line.StartsWith("CLIENT_RANDOM ", StringComparison.Ordinal));
                if (line?.Split(' ') is not [_, string first, string second] || second.Length < 2 * MasterBytes) return false;
                (random, master) = (Convert.FromHexString(first), Convert.FromHexString(second));
                return true;
            });

        // The server's first record begins with its ServerHello: type, three bytes of length, two of the version, the random.
        return new HandmadeTls12(made.Socket, master, random, made.Received[(HeaderBytes + 6)..(HeaderBytes + 6 + RandomBytes)]);
    }

    /// <summary>Makes one record, which must be the next that is sent.</summary>
    /// <param name="type">Of what is in it.</param>
    /// <param name="content">Its content; may be part of a message, or many of them.</param>
    public byte[] Seal(byte type, ReadOnlySpan<byte> content)
    {
        byte[] record = new byte[HeaderBytes + ExplicitNonceBytes + content.Length + TagBytes];
        (record[0], record[1], record[2]) = (type, 3, 3);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(3), (ushort)(record.Length - HeaderBytes));
        BinaryPrimitives.WriteUInt64BigEndian(record.AsSpan(HeaderBytes), _sent);

        Span<byte> nonce = stackalloc byte[SaltBytes + ExplicitNonceBytes], bound = stackalloc byte[13];
        _salt.CopyTo(nonce);
        BinaryPrimitives.WriteUInt64BigEndian(nonce[SaltBytes..], _sent);
        BinaryPrimitives.WriteUInt64BigEndian(bound, _sent);
        record.AsSpan(0, 3).CopyTo(bound[8..]);
        BinaryPrimitives.WriteUInt16BigEndian(bound[11..], (ushort)content.Length);
        _cipher.Encrypt(nonce, content, record.AsSpan(HeaderBytes + ExplicitNonceBytes, content.Length), record.AsSpan(^TagBytes..), bound);
        _sent++;
        return record;
    }

    /// <summary>Sends bytes as they are.</summary>
    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await BoundedWait.WithinAsync(Socket.SendAsync(bytes).AsTask(), "room to send")..];
    }

    /// <summary>Reads until the other end has ended its direction.</summary>
    /// <returns>The types of the received records.</returns>
    public async Task<byte[]> ReceiveTypesAsync()
    {
        List<byte> types = [], received = [];
        byte[] some = new byte[64 << 10];
        int read;
        while ((read = await BoundedWait.WithinAsync(Socket.ReceiveAsync(some), "the end")) > 0) received.AddRange(some.AsSpan(0, read));
        for (int at = 0; at + HeaderBytes <= received.Count; at += HeaderBytes + (received[at + 3] << 8) + received[at + 4]) types.Add(received[at]);
        return [.. types];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Socket.Dispose();
        _cipher.Dispose();
    }

    /// <summary>The pseudo-random function of TLS 1.2 with SHA-256 (RFC 5246, section 5).</summary>
    private static byte[] Prf(byte[] secret, string label, byte[] seed, int length)
    {
        byte[] start = [.. Encoding.ASCII.GetBytes(label), .. seed], a = start;
        List<byte> all = [];
        while (all.Count < length)
        {
            a = HMACSHA256.HashData(secret, a);
            byte[] input = [.. a, .. start];
            all.AddRange(HMACSHA256.HashData(secret, input));
        }

        return [.. all.Take(length)];
    }
}
