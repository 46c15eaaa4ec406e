using System.Collections.Immutable;

namespace Megaphone.Tls;

/// <summary>What each <see cref="AeadAlgorithm"/> has of its own. All have nonces of 12 bytes and tags of 16.</summary>
internal static class AeadAlgorithms
{
    /// <summary>All of them.</summary>
    public static readonly ImmutableArray<AeadAlgorithm> All =
        [AeadAlgorithm.Aes128Gcm, AeadAlgorithm.Aes256Gcm, AeadAlgorithm.ChaCha20Poly1305];

    public const int NonceBytes = 12;
    public const int TagBytes = 16;
    public const int MaxKeyBytes = 32;
    public const int MaxHashBytes = 48;

    /// <summary>Records that AES-GCM may protect with one key: 2^24.5, of which the half is left to spare (RFC 8446, section 5.5).</summary>
    private const ulong MaxRecordsOfGcm = 1UL << 24;

    /// <summary>ChaCha20-Poly1305 has no bound but the sequence number (RFC 8446, section 5.5).</summary>
    private const ulong MaxRecordsOfChaCha20 = 1UL << 63;

    /// <summary>The algorithm of a cipher suite, by its number in IANA's registry; null for a suite that is not allowed here.</summary>
    public static AeadAlgorithm? OfSuite(int suite) => suite switch
    {
        0x1301 or 0xC02B or 0xC02F => AeadAlgorithm.Aes128Gcm,
        0x1302 or 0xC02C or 0xC030 => AeadAlgorithm.Aes256Gcm,
        0x1303 or 0xCCA8 or 0xCCA9 => AeadAlgorithm.ChaCha20Poly1305,
        _ => null,
    };

    /// <summary>Its name in OpenSSL.</summary>
    public static string Name(this AeadAlgorithm algorithm) => algorithm switch
    {
        AeadAlgorithm.Aes128Gcm => "AES-128-GCM",
        AeadAlgorithm.Aes256Gcm => "AES-256-GCM",
        AeadAlgorithm.ChaCha20Poly1305 => "ChaCha20-Poly1305",
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
    };

    public static bool IsGcm(this AeadAlgorithm algorithm) => algorithm != AeadAlgorithm.ChaCha20Poly1305;

    public static int KeyBytes(this AeadAlgorithm algorithm) => algorithm == AeadAlgorithm.Aes128Gcm ? 16 : 32;

    /// <summary>Bytes of a hash of the key schedule, and so of a traffic secret.</summary>
    public static int HashBytes(this AeadAlgorithm algorithm) => algorithm == AeadAlgorithm.Aes256Gcm ? 48 : 32;

    /// <summary>Records after which a key must not be used any more.</summary>
    public static ulong MaxRecordsOfKey(this AeadAlgorithm algorithm) => algorithm.IsGcm() ? MaxRecordsOfGcm : MaxRecordsOfChaCha20;
}
