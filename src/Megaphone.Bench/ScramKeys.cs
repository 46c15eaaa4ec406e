using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Bench;

/// <summary>
/// The keys of RFC 5802 that are made from a password, a salt and a number of iterations: the costly part of a login.
/// </summary>
/// <remarks>Caches a few thousand of them, for accounts that log in again. Thread-safe.</remarks>
internal sealed class ScramKeys(HashAlgorithmName hash)
{
    private const int MaxRemembered = 4096;

    private readonly ConcurrentDictionary<(string Password, string Salt, int Iterations), (byte[] Client, byte[] Server)> _remembered = [];

    /// <summary>The hash function.</summary>
    public HashAlgorithmName Hash => hash;

    /// <summary>ClientKey and ServerKey.</summary>
    /// <param name="password">The account's.</param>
    /// <param name="salt">In base 64, as the server sent it.</param>
    /// <param name="iterations">As the server sent it.</param>
    /// <exception cref="FormatException">The salt is not in base 64.</exception>
    public (byte[] Client, byte[] Server) Of(string password, string salt, int iterations)
    {
        if (_remembered.TryGetValue((password, salt, iterations), out (byte[] Client, byte[] Server) keys)) return keys;
        byte[] salted = Rfc2898DeriveBytes.Pbkdf2(
            Encoding.UTF8.GetBytes(password), Convert.FromBase64String(salt), iterations, hash, DigestBytes);
        keys = (Sign(salted, "Client Key"u8), Sign(salted, "Server Key"u8));
        if (_remembered.Count >= MaxRemembered) _remembered.Clear();
        _remembered[(password, salt, iterations)] = keys;
        return keys;
    }

    /// <summary>HMAC with this hash function.</summary>
    public byte[] Sign(byte[] key, ReadOnlySpan<byte> text)
    {
        using IncrementalHash mac = IncrementalHash.CreateHMAC(hash, key);
        mac.AppendData(text);
        return mac.GetHashAndReset();
    }

    /// <summary>H of the RFC: the hash of a text.</summary>
    public byte[] Digest(byte[] text)
    {
        using IncrementalHash digest = IncrementalHash.CreateHash(hash);
        digest.AppendData(text);
        return digest.GetHashAndReset();
    }

    private int DigestBytes => hash == HashAlgorithmName.SHA1 ? 20 : 32;
}
