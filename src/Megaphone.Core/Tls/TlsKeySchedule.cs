using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;

namespace Megaphone.Tls;

/// <summary>The functions that keys are made with: HKDF-Expand-Label (RFC 8446, section 7.1) and the PRF of TLS 1.2 (RFC 5246, section 5).</summary>
/// <remarks>
/// Both are HMAC, several times at most, for which the framework has a function that allocates nothing: HKDF and the PRF of OpenSSL would
/// want a context and named parameters for each call.
/// </remarks>
internal static class TlsKeySchedule
{
    /// <summary>The longest label that is used here, with what TLS puts before it.</summary>
    private const int MaxLabelBytes = 18;

    private const int MaxSeedBytes = 13 + 2 * RandomBytes;

    /// <summary>Bytes of <c>ClientHello.random</c> and <c>ServerHello.random</c>.</summary>
    public const int RandomBytes = 32;

    /// <summary>HKDF-Expand-Label with an empty context, as all keys of records are made.</summary>
    /// <param name="algorithm">Whose hash is used.</param>
    /// <param name="secret">A traffic secret.</param>
    /// <param name="label">Without the <c>tls13 </c> in front.</param>
    /// <param name="output">At most as long as a hash, so that one round of HKDF-Expand (RFC 5869, section 2.3) makes it.</param>
    public static void ExpandLabel(AeadAlgorithm algorithm, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> label, Span<byte> output)
    {
        Debug.Assert(output.Length <= algorithm.HashBytes(), "One round makes no more than a hash.");

        // struct { uint16 length; opaque label<7..255>; opaque context<0..255>; } HkdfLabel; and behind it the number of the round.
        ReadOnlySpan<byte> prefix = "tls13 "u8;
        int labelBytes = prefix.Length + label.Length;
        Span<byte> info = stackalloc byte[3 + MaxLabelBytes + 2];
        BinaryPrimitives.WriteUInt16BigEndian(info, (ushort)output.Length);
        info[2] = (byte)labelBytes;
        prefix.CopyTo(info[3..]);
        label.CopyTo(info[(3 + prefix.Length)..]);
        info[3 + labelBytes] = 0;
        info[4 + labelBytes] = 1;

        Span<byte> hash = stackalloc byte[AeadAlgorithms.MaxHashBytes];
        hash = Hmac(algorithm, secret, info[..(5 + labelBytes)], hash);
        hash[..output.Length].CopyTo(output);
        CryptographicOperations.ZeroMemory(hash);
    }

    /// <summary>The key block of TLS 1.2 (RFC 5246, section 6.3): the PRF of the master secret with the label <c>key expansion</c>.</summary>
    public static void ExpandKeyBlock(
        AeadAlgorithm algorithm, ReadOnlySpan<byte> masterSecret, ReadOnlySpan<byte> clientRandom, ReadOnlySpan<byte> serverRandom, Span<byte> output)
    {
        // The server's random comes first here.
        ReadOnlySpan<byte> label = "key expansion"u8;
        Span<byte> round = stackalloc byte[AeadAlgorithms.MaxHashBytes + MaxSeedBytes];
        Span<byte> seed = stackalloc byte[MaxSeedBytes];
        label.CopyTo(seed);
        serverRandom.CopyTo(seed[label.Length..]);
        clientRandom.CopyTo(seed[(label.Length + RandomBytes)..]);

        // P_hash: A(i) = HMAC(secret, A(i - 1)), with A(0) the seed; the output is HMAC(secret, A(i) + seed) of all i from 1 on.
        int hashBytes = algorithm.HashBytes();
        Span<byte> a = round[..hashBytes];
        Span<byte> hash = stackalloc byte[AeadAlgorithms.MaxHashBytes];
        round = round[..(hashBytes + MaxSeedBytes)];
        seed.CopyTo(round[hashBytes..]);
        Hmac(algorithm, masterSecret, seed, a);
        while (!output.IsEmpty)
        {
            Hmac(algorithm, masterSecret, round, hash);
            int count = Math.Min(hashBytes, output.Length);
            hash[..count].CopyTo(output);
            output = output[count..];
            Hmac(algorithm, masterSecret, a, hash);
            hash[..hashBytes].CopyTo(a);
        }

        CryptographicOperations.ZeroMemory(hash);
        CryptographicOperations.ZeroMemory(round);
    }

    private static Span<byte> Hmac(AeadAlgorithm algorithm, ReadOnlySpan<byte> key, ReadOnlySpan<byte> bytes, Span<byte> hash)
    {
        int count = algorithm == AeadAlgorithm.Aes256Gcm ? HMACSHA384.HashData(key, bytes, hash) : HMACSHA256.HashData(key, bytes, hash);
        return hash[..count];
    }
}
