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
/// the next record of another connection, by <see cref="Forget"/>, and when the thread has ended. So from <see cref="ForRecord"/> until the
/// record is sealed or opened a gate is held, for which nobody but <see cref="Forget"/> ever waits.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "What belongs to a thread ends with it: the finalizer is all that there is.")]
internal sealed unsafe class AeadCipher
{
    private const int Ways = 2;
    private const int Algorithms = (int)AeadAlgorithm.ChaCha20Poly1305 + 1;

    [ThreadStatic]
    private static AeadCipher?[]? _ofThread;

    /// <summary>Those of all threads, to find a key in. Not held by this, as each is to end with its thread.</summary>
    private static readonly List<WeakReference<AeadCipher>> All = [];

    private readonly nint _context = OpenSsl.NewCipherContext();
    private readonly AeadAlgorithm _algorithm;
    private readonly int _encrypts;

    private readonly ReservedMemory _memory = new((nuint)MaterialBytes, isSecret: true);

    private bool _hasKey;

    /// <summary>0: free; 1: held.</summary>
    private int _gate;

    private AeadCipher(AeadAlgorithm algorithm, bool encrypts)
    {
        (_algorithm, _encrypts) = (algorithm, encrypts ? 1 : 0);

        // Clients that were taken over may have TLS where no listener has it any more.
        _ = OpenSsl.Load();
        nint cipher = OpenSsl.FetchCipher(0, algorithm.Name(), null);
        if (_context == 0 || cipher == 0) throw Failure("gives no cipher context");
        Check(OpenSsl.InitializeCipher(_context, cipher, null, null, _encrypts, null));
        OpenSsl.FreeCipher(cipher);
        lock (All)
        {
            All.RemoveAll(other => !other.TryGetTarget(out _));
            All.Add(new WeakReference<AeadCipher>(this));
        }
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

    /// <summary>
    /// The calling thread's, with the key and the nonce for the next record of a direction, which has to be sealed or opened with it next.
    /// </summary>
    public static AeadCipher ForRecord(SecurityParameters parameters, bool encrypts, ref TrafficKeys keys, ReadOnlySpan<byte> nonce)
    {
        ref AeadCipher? cipher = ref (_ofThread ??= new AeadCipher?[Algorithms * Ways])[IndexOf(parameters.Algorithm, encrypts)];
        cipher ??= new AeadCipher(parameters.Algorithm, encrypts);
        cipher.Enter();
        try
        {
            cipher.Use(parameters, ref keys, nonce);
        }
        catch
        {
            cipher.Exit();
            throw;
        }

        return cipher;
    }

    /// <summary>Zeroes the key of a direction, whichever threads have used it last. Nobody may use it any more.</summary>
    public static void Forget(AeadAlgorithm algorithm, bool encrypts, ref TrafficKeys keys)
    {
        lock (All)
        {
            foreach (WeakReference<AeadCipher> one in All)
            {
                if (!one.TryGetTarget(out AeadCipher? cipher) || (cipher._algorithm, cipher._encrypts == 1) != (algorithm, encrypts)) continue;
                cipher.Enter();
                try
                {
                    if (cipher.Has(ref keys)) cipher.Clear();
                }
                finally
                {
                    cipher.Exit();
                }
            }
        }
    }

    /// <summary>Encrypts in place.</summary>
    /// <param name="additional">What is authenticated beside it.</param>
    /// <param name="content">What is encrypted.</param>
    /// <param name="tag">Where the tag goes.</param>
    /// <exception cref="CryptographicException">OpenSSL failed.</exception>
    public void Seal(ReadOnlySpan<byte> additional, Span<byte> content, Span<byte> tag)
    {
        int written;
        try
        {
            fixed (byte* additionalStart = additional, start = content, tagStart = tag)
            {
                Check(OpenSsl.UpdateCipher(_context, null, &written, additionalStart, additional.Length));
                Check(OpenSsl.UpdateCipher(_context, start, &written, start, content.Length));
                Check(OpenSsl.FinishCipher(_context, tagStart, &written));
                Check(OpenSsl.ControlCipher(_context, OpenSsl.AeadGetTag, tag.Length, tagStart));
            }
        }
        finally
        {
            Exit();
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
        try
        {
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
        finally
        {
            Exit();
        }
    }

    private static int IndexOf(AeadAlgorithm algorithm, bool encrypts) => (int)algorithm * Ways + (encrypts ? 1 : 0);

    private static void Check(int result)
    {
        if (result != 1) throw Failure("failed to protect a record");
    }

    private static CryptographicException Failure(string what) => new($"OpenSSL {what}: {OpenSsl.DescribeError()}");

    private void Enter()
    {
        SpinWait spin = default;
        while (Interlocked.CompareExchange(ref _gate, 1, 0) != 0) spin.SpinOnce(sleep1Threshold: -1);
    }

    private void Exit() => Volatile.Write(ref _gate, 0);

    private void Clear()
    {
        Span<byte> zeros = stackalloc byte[AeadAlgorithms.MaxKeyBytes];
        zeros.Clear();
        fixed (byte* key = zeros) Check(OpenSsl.InitializeCipher(_context, 0, key, null, _encrypts, null));
        CryptographicOperations.ZeroMemory(Material);
        _hasKey = false;
    }

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
