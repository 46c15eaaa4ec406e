using System.Security.Cryptography;
using Megaphone.Handover;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>Checks a PEM file before it is used, so that a problem can be reported with its fix.</summary>
internal static class PemFile
{
    private const int MayPass = 1;
    private const string ExampleKey = "-----BEGIN PRIVATE KEY-----";

    private static ReadOnlySpan<byte> PrivateKeyLabel => "PRIVATE KEY-----"u8;

    /// <summary>Whether a file can be read.</summary>
    /// <returns>Null when it can; else why not.</returns>
    public static CertificateProblem? Obstacle(string file)
    {
        try
        {
            if (Directory.Exists(file)) return new CertificateProblem(file, "it is a directory", "write the path of a file in it");
            using FileStream stream = Open(file);
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return Forbidden(file);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            // A folder that may not be entered hides what is in it.
            return ClosedFolder(file) is null
                ? new CertificateProblem(file, "there is no such file", $"`ls -l {Quoted(Nearest(file))}` shows what there is")
                : Forbidden(file);
        }
        catch (IOException error)
        {
            return new CertificateProblem(file, $"it cannot be read: {error.Message}", $"`cat {Quoted(file)} >/dev/null` must succeed");
        }
    }

    /// <summary>Whether a file can be read, and has a private key in it that is not encrypted.</summary>
    /// <returns>Null when it has; else what is wrong.</returns>
    public static CertificateProblem? KeyObstacle(string file)
    {
        if (Obstacle(file) is { } obstacle) return obstacle;
        byte[] bytes = [];
        try
        {
            // Not as a string, which would stay somewhere in memory.
            using FileStream stream = Open(file);
            bytes = GC.AllocateUninitializedArray<byte>(checked((int)stream.Length), pinned: true);
            ReadOnlySpan<byte> text = bytes.AsSpan(0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
            if (text.IndexOf(PrivateKeyLabel) < 0)
                return new CertificateProblem(file, "there is no private key in it", $"a PEM file with one has a line {ExampleKey}");
            return text.IndexOf("ENCRYPTED"u8) >= 0
                ? new CertificateProblem(
                    file, "the key in it is encrypted, and nobody is here to give the passphrase",
                    $"`openssl pkey -in {Quoted(file)} -out {Quoted(file + ".plain")}` writes one that is not")
                : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new CertificateProblem(file, $"it cannot be read: {error.Message}", $"`cat {Quoted(file)} >/dev/null` must succeed");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    /// <summary>What to say of a key that is another certificate's.</summary>
    public static CertificateProblem WrongKey(string key, string certificate) => new(
        key, $"the key is not that of the certificate in {certificate}",
        $"`openssl x509 -in {Quoted(certificate)} -noout -pubkey` and `openssl pkey -in {Quoted(key)} -pubout` must print the same");

    /// <summary>What to say of a file in which there is no certificate.</summary>
    public static CertificateProblem NoCertificate(string file) => new(
        file, "there is no certificate in it", "a PEM file with one has a line -----BEGIN CERTIFICATE-----");

    /// <summary>What to say of a file whose content cannot be understood.</summary>
    public static CertificateProblem Garbled(string file, string reason, bool isKey = false) => new(
        file, reason, $"`openssl {(isKey ? "pkey" : "x509")} -in {Quoted(file)} -noout -text` says what OpenSSL makes of it");

    private static FileStream Open(string file) =>
        new(RehearsedFiles.PathOf(file), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    private static CertificateProblem Forbidden(string file)
    {
        string user = Environment.UserName, id = Libc.EffectiveUser().ToString(System.Globalization.CultureInfo.InvariantCulture);
        string who = user.Length > 0 ? $"user {user} ({id})" : $"user {id}";
        const string InTheUnit = "for a service of systemd LoadCredential= does (docs/operating.md, TLS)";
        return ClosedFolder(file) is { } folder
            ? new CertificateProblem(
                file, $"permission denied: {who} may not enter {folder}", $"as root `chmod o+x {Quoted(folder)}` allows it; {InTheUnit}")
            : new CertificateProblem(
                file, $"permission denied: {who} may not read it",
                $"as root `chown {(user.Length > 0 ? user : id)} {Quoted(file)} && chmod u+r {Quoted(file)}` allows it; {InTheUnit}");
    }

    /// <summary>The first folder in a file's path that may not be entered; null when there is none.</summary>
    private static string? ClosedFolder(string file)
    {
        for (int slash = file.IndexOf('/', 1); slash > 0; slash = file.IndexOf('/', slash + 1))
        {
            string folder = file[..slash];
            if (Directory.Exists(folder) && Libc.Access(folder, MayPass) != 0) return folder;
        }

        return null;
    }

    /// <summary>The deepest folder in a file's path that exists.</summary>
    private static string Nearest(string file)
    {
        string? folder = Path.GetDirectoryName(file);
        while (folder is not null && !Directory.Exists(folder)) folder = Path.GetDirectoryName(folder);
        return folder ?? "/";
    }

    /// <summary>A path as a shell wants it.</summary>
    private static string Quoted(string path) =>
        path.All(c => char.IsAsciiLetterOrDigit(c) || "/._-+@".Contains(c)) ? path : $"'{path.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
