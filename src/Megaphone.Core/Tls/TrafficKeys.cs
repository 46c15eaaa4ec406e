using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Tls;

/// <summary>What protects the records of one direction: key, IV, sequence number, and in TLS 1.3 the traffic secret. 84 bytes.</summary>
/// <remarks>
/// The secret of AES-256-GCM, which is longer than the others' by 16 bytes, leaves no room for its key in TLS 1.3. The key is made from it
/// when the thread's <see cref="AeadCipher"/> has another one: it costs some 2 µs there, and saves 32 bytes for each connection.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct TrafficKeys
{
    private const int SecretBytes = 32;

    /// <summary>Fixed part of the nonce with AES-GCM in TLS 1.2 (RFC 5288, section 3: the salt).</summary>
    private const int SaltBytes = 4;

    /// <summary>The secret, and behind it the key; or, with AES-256-GCM in TLS 1.3, the secret alone.</summary>
    private fixed byte _material[SecretBytes + AeadAlgorithms.MaxKeyBytes];

    /// <summary>The IV; with AES-GCM in TLS 1.2 the salt, and behind it the explicit nonce of record 0.</summary>
    private fixed byte _iv[AeadAlgorithms.NonceBytes];

    /// <summary>The number of the next record (RFC 8446, section 5.3; RFC 5246, section 6.1).</summary>
    public ulong Sequence;

    /// <summary>What the key is, or is made from: two directions with the same have the same key.</summary>
    public ReadOnlySpan<byte> Material => MaterialBytes;

    private Span<byte> MaterialBytes => MemoryMarshal.CreateSpan(ref _material[0], SecretBytes + AeadAlgorithms.MaxKeyBytes);

    private Span<byte> Iv => MemoryMarshal.CreateSpan(ref _iv[0], AeadAlgorithms.NonceBytes);

    /// <summary>Begins with a traffic secret of TLS 1.3 (RFC 8446, section 7.3).</summary>
    public void UseSecret(AeadAlgorithm algorithm, ReadOnlySpan<byte> secret, ulong sequence)
    {
        secret[..algorithm.HashBytes()].CopyTo(MaterialBytes);
        TlsKeySchedule.ExpandLabel(algorithm, secret, "iv"u8, Iv);
        if (HasRoomForKey(algorithm))
            TlsKeySchedule.ExpandLabel(algorithm, secret, "key"u8, MaterialBytes.Slice(SecretBytes, algorithm.KeyBytes()));
        Sequence = sequence;
    }

    /// <summary>Goes on to the next traffic secret (RFC 8446, section 7.2), with which sequence numbers begin at 0 again (section 5.3).</summary>
    public void Update(AeadAlgorithm algorithm)
    {
        Span<byte> next = stackalloc byte[algorithm.HashBytes()];
        TlsKeySchedule.ExpandLabel(algorithm, MaterialBytes[..next.Length], "traffic upd"u8, next);
        UseSecret(algorithm, next, sequence: 0);
        CryptographicOperations.ZeroMemory(next);
    }

    /// <summary>Begins with a key of TLS 1.2.</summary>
    /// <param name="key">The key.</param>
    /// <param name="iv">The IV, or the salt.</param>
    /// <param name="sequence">The number of the next record.</param>
    /// <param name="explicitNonce">With a salt, when records are sealed: the explicit nonce of the next record.</param>
    public void UseKey(ReadOnlySpan<byte> key, ReadOnlySpan<byte> iv, ulong sequence, ulong explicitNonce)
    {
        key.CopyTo(MaterialBytes[SecretBytes..]);
        iv.CopyTo(Iv);
        if (iv.Length == SaltBytes) BinaryPrimitives.WriteUInt64BigEndian(Iv[SaltBytes..], explicitNonce - sequence);
        Sequence = sequence;
    }

    /// <summary>The key.</summary>
    /// <param name="parameters">What the connection has agreed on.</param>
    /// <param name="key">Where it goes.</param>
    public void CopyKey(SecurityParameters parameters, Span<byte> key)
    {
        AeadAlgorithm algorithm = parameters.Algorithm;
        if (parameters.IsTls13 && !HasRoomForKey(algorithm))
            TlsKeySchedule.ExpandLabel(algorithm, MaterialBytes[..algorithm.HashBytes()], "key"u8, key);
        else
            MaterialBytes.Slice(SecretBytes, key.Length).CopyTo(key);
    }

    /// <summary>
    /// The nonce of the next record: the IV, to which the sequence number is added bit by bit (RFC 8446, section 5.3; RFC 7905, section 2).
    /// With AES-GCM in TLS 1.2 the salt, and behind it a nonce that counts as the sequence number does and is sent in the record
    /// (RFC 5288, section 3).
    /// </summary>
    public void CopyNonce(SecurityParameters parameters, Span<byte> nonce)
    {
        Iv.CopyTo(nonce);
        Span<byte> counter = nonce[SaltBytes..];
        ulong iv = BinaryPrimitives.ReadUInt64BigEndian(counter);
        BinaryPrimitives.WriteUInt64BigEndian(counter, parameters.ExplicitNonceBytes == 0 ? iv ^ Sequence : iv + Sequence);
    }

    private static bool HasRoomForKey(AeadAlgorithm algorithm) => algorithm.HashBytes() <= SecretBytes;
}
