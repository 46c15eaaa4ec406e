using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Bench;

/// <summary>
/// One client's side of SCRAM (RFC 5802, section 3) without channel binding. Pure. Exists while a login is under way.
/// </summary>
internal sealed class ScramExchange(string user, string password, string nonce, ScramKeys keys)
{
    private const string NoChannelBinding = "n,,";
    private const int MaxIterations = 1_000_000;
    private const int MaxNonce = 256;

    private readonly string _bare = $"n={Escape(user)},r={nonce}";
    private string? _serverFinal;

    /// <summary>client-first-message.</summary>
    public string First => NoChannelBinding + _bare;

    /// <summary>Answers server-first-message.</summary>
    /// <param name="challenge">Decoded from base 64.</param>
    /// <param name="final">client-final-message.</param>
    /// <param name="problem">What is wrong with the challenge; null: nothing.</param>
    public bool TryAnswer(string challenge, [NotNullWhen(true)] out string? final, [NotNullWhen(false)] out string? problem)
    {
        final = null;
        problem = null;
        string? both = null, salt = null;
        int iterations = 0;
        foreach (string part in challenge.Split(','))
        {
            if (part.StartsWith("r=", StringComparison.Ordinal)) both = part[2..];
            else if (part.StartsWith("s=", StringComparison.Ordinal)) salt = part[2..];
            else if (part.StartsWith("i=", StringComparison.Ordinal)) _ = int.TryParse(part.AsSpan(2), NumberStyles.None, null, out iterations);
        }

        if (both is null || both.Length > MaxNonce || !both.StartsWith(nonce, StringComparison.Ordinal))
            problem = "a SCRAM challenge without our nonce";
        else if (iterations is < 1 or > MaxIterations)
            problem = $"a SCRAM challenge whose iterations are not 1 to {MaxIterations}";
        else if (salt is null || !Convert.TryFromBase64String(salt, new byte[salt.Length], out _))
            problem = "a SCRAM challenge without a salt";
        if (problem is not null) return false;

        string withoutProof = $"c={Convert.ToBase64String(Encoding.UTF8.GetBytes(NoChannelBinding))},r={both}";
        byte[] authMessage = Encoding.UTF8.GetBytes($"{_bare},{challenge},{withoutProof}");
        (byte[] clientKey, byte[] serverKey) = keys.Of(password, salt!, iterations);
        byte[] proof = keys.Sign(keys.Digest(clientKey), authMessage);
        for (int i = 0; i < proof.Length; i++) proof[i] ^= clientKey[i];
        _serverFinal = $"v={Convert.ToBase64String(keys.Sign(serverKey, authMessage))}";
        final = $"{withoutProof},p={Convert.ToBase64String(proof)}";
        return true;
    }

    /// <summary>Whether server-final-message proves that the server knows the password too.</summary>
    public bool IsProof(string serverFinal) => _serverFinal is not null && serverFinal == _serverFinal;

    private static string Escape(string user) =>
        user.Replace("=", "=3D", StringComparison.Ordinal).Replace(",", "=2C", StringComparison.Ordinal);

    /// <summary>A nonce that cannot be guessed.</summary>
    public static string NewNonce() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(18));
}
