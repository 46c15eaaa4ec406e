using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>
/// Authenticated encryption by OpenSSL: one context for each thread, algorithm and way, which gets the key of whichever connection has a
/// record to be protected. No connection has a context of its own.
/// </summary>
/// <remarks>
/// The key of the last record stays in the context, so that a connection which has many records in a row gives it once. It is zeroed by
/// the next record of another connection, by <see cref="Forget"/>, and when the thread has ended.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "What belongs to a thread ends with it: the finalizer is all that there is.")]
internal sealed unsafe class AeadCipher
{
    private const int Ways = 2;
    private const int Algorithms = (int)AeadAlgorithm.ChaCha20Poly1305 + 1;

    [ThreadStatic]
    private static AeadCipher?[]? _ofThread;

    private readonly nint _context = OpenSsl.NewCipherContext();
    private readonly int _encrypts;

    private readonly ReservedMemory _memory = new((nuint)MaterialBytes, isSecret: true);

    private bool _hasKey;

    private AeadCipher(AeadAlgorithm algorithm, bool encrypts)
    {
        _encrypts = encrypts ? 1 : 0;
        nint cipher = OpenSsl.FetchCipher(0, algorithm.Name(), null);
        if (_context == 0 || cipher == 0) throw Failure("gives no cipher context");
        Check(OpenSsl.InitializeCipher(_context, cipher, null, null, _encrypts, null));
        OpenSsl.FreeCipher(cipher);
    }

    /// <summary>Frees the context of a thread that has ended.</summary>
    ~AeadCipher()
    {
        _memory.Dispose();

        // Without OpenSSL the first call has failed, and this one would, too.
        if (_context != 0) OpenSsl.FreeCipherContext(_context);
    }

    /// <summary>What the key in the context was made from.</summary>
    private Span<byte> Material => new(_memory.Start, MaterialBytes);

    private static int MaterialBytes => default(TrafficKeys).Material.Length;

    /// <summary>The calling thread's, with the key and the nonce for the next record of a direction.</summary>
    public static AeadCipher ForRecord(SecurityParameters parameters, bool encrypts, ref TrafficKeys keys, ReadOnlySpan<byte> nonce)
    {
        ref AeadCipher? cipher = ref (_ofThread ??= new AeadCipher?[Algorithms * Ways])[IndexOf(parameters.Algorithm, encrypts)];
        cipher ??= new AeadCipher(parameters.Algorithm, encrypts);
        cipher.Use(parameters, ref keys, nonce);
        return cipher;
    }

    /// <summary>Zeroes the key of a direction in the calling thread's context, if it is there.</summary>
    public static void Forget(AeadAlgorithm algorithm, bool encrypts, ref TrafficKeys keys)
    {
        if (_ofThread?[IndexOf(algorithm, encrypts)] is not { } cipher || !cipher.Has(ref keys)) return;
        Span<byte> zeros = stackalloc byte[AeadAlgorithms.MaxKeyBytes];
        zeros.Clear();
        fixed (byte* key = zeros) Check(OpenSsl.InitializeCipher(cipher._context, 0, key, null, cipher._encrypts, null));
        CryptographicOperations.ZeroMemory(cipher.Material);
        cipher._hasKey = false;
    }

    /// <summary>Encrypts in place.</summary>
    /// <param name="additional">What is authenticated beside it.</param>
    /// <param name="content">What is encrypted.</param>
    /// <param name="tag">Where the tag goes.</param>
    /// <exception cref="CryptographicException">OpenSSL failed.</exception>
    public void Seal(ReadOnlySpan<byte> additional, Span<byte> content, Span<byte> tag)
    {
        int written;
        fixed (byte* additionalStart = additional, start = content, tagStart = tag)
        {
            Check(OpenSsl.UpdateCipher(_context, null, &written, additionalStart, additional.Length));
            Check(OpenSsl.UpdateCipher(_context, start, &written, start, content.Length));
            Check(OpenSsl.FinishCipher(_context, tagStart, &written));
            Check(OpenSsl.ControlCipher(_context, OpenSsl.AeadGetTag, tag.Length, tagStart));
        }
    }

    /// <summary>Decrypts in place.</summary>
    /// <param name="additional">What is authenticated beside it.</param>
    /// <param name="content">What is decrypted; zeroed when the tag is wrong.</param>
    /// <param name="tag">The tag.</param>
    /// <returns>False when the tag is wrong.</returns>
    /// <exception cref="CryptographicException">OpenSSL failed.</exception>
    public bool TryOpen(ReadOnlySpan<byte> additional, Span<byte> content, ReadOnlySpan<byte> tag)
    {
        int written;
        fixed (byte* additionalStart = additional, start = content, tagStart = tag)
        {
            Check(OpenSsl.UpdateCipher(_context, null, &written, additionalStart, additional.Length));
            Check(OpenSsl.ControlCipher(_context, OpenSsl.AeadSetTag, tag.Length, tagStart));
            bool isRight = OpenSsl.UpdateCipher(_context, start, &written, start, content.Length) == 1
                && OpenSsl.FinishCipher(_context, tagStart, &written) == 1;
            if (!isRight) CryptographicOperations.ZeroMemory(content);
            return isRight;
        }
    }

    private static int IndexOf(AeadAlgorithm algorithm, bool encrypts) => (int)algorithm * Ways + (encrypts ? 1 : 0);

    private static void Check(int result)
    {
        if (result != 1) throw Failure("failed to protect a record");
    }

    private static CryptographicException Failure(string what) => new($"OpenSSL {what}: {OpenSsl.DescribeError()}");

    /// <remarks>Need not take the same time for all: the secrets of two connections are independent, and no peer can choose one.</remarks>
    private bool Has(ref TrafficKeys keys) => _hasKey && keys.Material.SequenceEqual(Material);

    private void Use(SecurityParameters parameters, ref TrafficKeys keys, ReadOnlySpan<byte> nonce)
    {
        fixed (byte* nonceStart = nonce)
        {
            if (Has(ref keys))
            {
                Check(OpenSsl.InitializeCipher(_context, 0, null, nonceStart, _encrypts, null));
                return;
            }

            _hasKey = false;
            Span<byte> key = stackalloc byte[parameters.Algorithm.KeyBytes()];
            keys.CopyKey(parameters, key);
            fixed (byte* keyStart = key) Check(OpenSsl.InitializeCipher(_context, 0, keyStart, nonceStart, _encrypts, null));
            CryptographicOperations.ZeroMemory(key);
            keys.Material.CopyTo(Material);
            _hasKey = true;
        }
    }
}
