using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>
/// The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1): the server remembers nothing of a session, the client
/// brings it back encrypted.
/// </summary>
/// <remarks>
/// A key encrypts for one <see cref="Period"/> and is good for reading tickets for two more; then it is overwritten, and what
/// was recorded earlier cannot be decrypted with what this process knows. The process has one set of keys, whichever
/// certificates are in use. Thread-safe.
/// </remarks>
internal static unsafe class TicketKeys
{
    private const int NameBytes = 16;
    private const int CipherBytes = 32;
    private const int MacBytes = 32;
    private const int KeyBytes = NameBytes + CipherBytes + MacBytes;
    private const int IvBytes = 16;
    private const int Kept = 3;
    private const int Failure = -1;
    private const int UnknownTicket = 0;
    private const int Good = 1;

    private static readonly Lock Gate = new();

    /// <summary>In memory that is never given back, and left out of core dumps.</summary>
    private static readonly ReservedMemory Memory = new(Kept * KeyBytes, isSecret: true);

    // Old keys are overwritten even while no client connects.
    private static readonly Timer RotationTimer = new(_ => Rotate(), null, Period, Period);

    private static long _rotatedAt = Environment.TickCount64;

    static TicketKeys() => RandomNumberGenerator.Fill(Keys);

    /// <summary>The newest first; each is a name, a cipher key and a MAC key.</summary>
    private static Span<byte> Keys => new(Memory.Start, Kept * KeyBytes);

    /// <summary>For how long a key encrypts. A ticket is good for two hours, which is OpenSSL's default.</summary>
    public static TimeSpan Period { get; } = TimeSpan.FromHours(1);

    /// <summary>Has a context make and read tickets with these keys.</summary>
    public static void Use(TlsContext context) => _ = OpenSsl.SetTicketCallback(context, &Provide);

    /// <summary>Puts a new key in front, and overwrites the oldest.</summary>
    public static void Rotate()
    {
        lock (Gate)
        {
            Keys[..((Kept - 1) * KeyBytes)].CopyTo(Keys[KeyBytes..]);
            RandomNumberGenerator.Fill(Keys[..KeyBytes]);
            _rotatedAt = Environment.TickCount64;
        }
    }

    /// <summary>How many bytes <see cref="Copy"/> needs.</summary>
    public const int Bytes = Kept * KeyBytes;

    /// <summary>Copies the keys, for the process's next image: tickets stay good.</summary>
    /// <returns>When the newest was made, as <see cref="Environment.TickCount64"/> tells the time.</returns>
    public static long Copy(Span<byte> into)
    {
        lock (Gate)
        {
            Keys.CopyTo(into);
            return _rotatedAt;
        }
    }

    /// <summary>Goes on with keys that were handed over.</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="rotatedAt">When the newest was made.</param>
    public static void GoOnWith(ReadOnlySpan<byte> keys, long rotatedAt)
    {
        lock (Gate)
        {
            keys.CopyTo(Keys);
            _rotatedAt = rotatedAt;
            long left = rotatedAt + (long)Period.TotalMilliseconds - Environment.TickCount64;
            RotationTimer.Change(TimeSpan.FromMilliseconds(Math.Clamp(left, 0, (long)Period.TotalMilliseconds)), Period);
        }
    }

    /// <summary>OpenSSL asks for a key: to encrypt a ticket, or to read the one whose key has this name.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Provide(nint ssl, byte* name, byte* iv, nint cipher, nint mac, int encrypt)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        lock (Gate)
        {
            int at = encrypt != 0 ? 0 : Find(new ReadOnlySpan<byte>(name, NameBytes));
            if (at < 0) return UnknownTicket;
            Keys.Slice(at, KeyBytes).CopyTo(key);
        }

        if (encrypt != 0)
        {
            key[..NameBytes].CopyTo(new Span<byte>(name, NameBytes));
            RandomNumberGenerator.Fill(new Span<byte>(iv, IvBytes));
        }

        fixed (byte* start = key, macKey = "key\0"u8, macDigest = "digest\0"u8, sha256 = "SHA256\0"u8)
        {
            byte* cipherKey = start + NameBytes;
            int keyed = encrypt != 0
                ? OpenSsl.EncryptInit(cipher, OpenSsl.Aes256Cbc(), 0, cipherKey, iv)
                : OpenSsl.DecryptInit(cipher, OpenSsl.Aes256Cbc(), 0, cipherKey, iv);
            OpenSslParameter* parameters = stackalloc OpenSslParameter[3];
            parameters[0] = new() { Key = macKey, Type = OpenSsl.ParameterOctets, Data = cipherKey + CipherBytes, Size = MacBytes };
            parameters[1] = new() { Key = macDigest, Type = OpenSsl.ParameterUtf8, Data = sha256, Size = 6 };
            parameters[2] = default;
            int macSet = OpenSsl.SetMacParameters(mac, parameters);
            CryptographicOperations.ZeroMemory(key);
            return keyed == 1 && macSet == 1 ? Good : Failure;
        }
    }

    private static int Find(ReadOnlySpan<byte> name)
    {
        for (int at = 0; at < Keys.Length; at += KeyBytes)
        {
            if (Keys.Slice(at, NameBytes).SequenceEqual(name)) return at;
        }

        return -1;
    }
}
