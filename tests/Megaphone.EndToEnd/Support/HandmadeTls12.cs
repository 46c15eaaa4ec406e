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
/// <remarks>As <see cref="HandmadeTls"/> is for TLS 1.3. One thread at a time.</remarks>
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
    private readonly AesGcm _peerCipher;
    private readonly byte[] _salt;
    private readonly byte[] _peerSalt;

    // Number 0 was Finished, of either end.
    private ulong _sent = 1;
    private ulong _taken = 1;

    private HandmadeTls12(Socket socket, byte[] master, byte[] clientRandom, byte[] serverRandom)
    {
        Socket = socket;

        // The client's key, the server's, the client's salt, the server's; AEAD ciphers have no keys for MACs (RFC 5246, section 6.3).
        byte[] block = Prf(master, "key expansion", [.. serverRandom, .. clientRandom], 2 * (KeyBytes + SaltBytes));
        _cipher = new AesGcm(block.AsSpan(0, KeyBytes), TagBytes);
        _peerCipher = new AesGcm(block.AsSpan(KeyBytes, KeyBytes), TagBytes);
        _salt = block[(2 * KeyBytes)..(2 * KeyBytes + SaltBytes)];
        _peerSalt = block[(2 * KeyBytes + SaltBytes)..];
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

    /// <summary>Sends one record.</summary>
    public Task SendAsync(byte type, ReadOnlySpan<byte> content) => SendRawAsync(Seal(type, content));

    /// <summary>Makes one record, which must be the next that is sent.</summary>
    /// <param name="type">Of what is in it.</param>
    /// <param name="content">Its content; may be part of a message, or many of them.</param>
    public byte[] Seal(byte type, ReadOnlySpan<byte> content)
    {
        byte[] record = new byte[HeaderBytes + ExplicitNonceBytes + content.Length + TagBytes];
        (record[0], record[1], record[2]) = (type, 3, 3);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(3), (ushort)(record.Length - HeaderBytes));
        BinaryPrimitives.WriteUInt64BigEndian(record.AsSpan(HeaderBytes), _sent);

        Span<byte> nonce = stackalloc byte[SaltBytes + ExplicitNonceBytes];
        _salt.CopyTo(nonce);
        BinaryPrimitives.WriteUInt64BigEndian(nonce[SaltBytes..], _sent);
        byte[] bound = Bound(_sent++, record, content.Length);
        _cipher.Encrypt(nonce, content, record.AsSpan(HeaderBytes + ExplicitNonceBytes, content.Length), record.AsSpan(^TagBytes..), bound);
        return record;
    }

    /// <summary>Sends bytes as they are.</summary>
    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await BoundedWait.WithinAsync(Socket.SendAsync(bytes).AsTask(), "room to send")..];
    }

    /// <summary>Reads until the other end has ended its direction.</summary>
    /// <returns>The types of the received records.</returns>
    public async Task<byte[]> ReceiveTypesAsync() => [.. (await ReceiveRecordsAsync(int.MaxValue)).Select(record => record.Type)];

    /// <summary>Reads until the other end has ended its direction, or has sent so many records.</summary>
    /// <returns>Type and content of the received records.</returns>
    public async Task<List<(byte Type, byte[] Content)>> ReceiveRecordsAsync(int most)
    {
        List<(byte, byte[])> records = [];
        byte[] header = new byte[HeaderBytes];
        while (records.Count < most && await TryFillAsync(header))
        {
            byte[] body = new byte[BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(3))];
            if (!await TryFillAsync(body)) throw new EndOfStreamException("The connection ended within a record.");
            byte[] content = new byte[body.Length - ExplicitNonceBytes - TagBytes];
            byte[] nonce = [.. _peerSalt, .. body.AsSpan(0, ExplicitNonceBytes)];
            byte[] bound = Bound(_taken++, header, content.Length);
            _peerCipher.Decrypt(nonce, body.AsSpan(ExplicitNonceBytes..^TagBytes), body.AsSpan(^TagBytes..), content, bound);
            records.Add((header[0], content));
        }

        return records;
    }

    private async Task<bool> TryFillAsync(Memory<byte> into)
    {
        while (into.Length > 0)
        {
            int read = await BoundedWait.WithinAsync(Socket.ReceiveAsync(into).AsTask(), "a record, or the end");
            if (read == 0) return false;
            into = into[read..];
        }

        return true;
    }

    /// <summary>What is authenticated beside the content: number, type, version, length (RFC 5246, section 6.2.3.3).</summary>
    private static byte[] Bound(ulong number, ReadOnlySpan<byte> header, int contentBytes)
    {
        byte[] bound = new byte[13];
        BinaryPrimitives.WriteUInt64BigEndian(bound, number);
        header[..3].CopyTo(bound.AsSpan(8));
        BinaryPrimitives.WriteUInt16BigEndian(bound.AsSpan(11), (ushort)contentBytes);
        return bound;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Socket.Dispose();
        _cipher.Dispose();
        _peerCipher.Dispose();
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
