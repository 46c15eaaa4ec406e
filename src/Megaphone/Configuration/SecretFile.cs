using System.Text;
using Megaphone.Handover;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>A secret that lies in a file of its own, such as a credential of systemd, where no list of processes shows it.</summary>
internal static class SecretFile
{
    /// <summary>More than any secret has, and less than the control message that carries it.</summary>
    private const int MaxBytes = 1024;

    /// <summary>Reads the secret: the file's first line.</summary>
    /// <param name="path">The full path.</param>
    /// <param name="secret">The secret; null when it cannot be used.</param>
    /// <returns>Why it cannot be used, as the end of a sentence that begins with the key; null: it can.</returns>
    public static string? Read(string path, out string? secret)
    {
        secret = null;
        try
        {
            using FileStream file = File.OpenRead(RehearsedFiles.PathOf(path));
            byte[] bytes = new byte[MaxBytes + 1];
            int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (length > MaxBytes) return $"has more than {MaxBytes} bytes, and its first line is to be the secret";
            string text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes, 0, length);
            string line = text.Split('\n')[0].TrimEnd('\r');
            if (text.TrimEnd('\r', '\n').Length > line.Length) return "has more than one line, and the secret is one";
            if (ValueFormats.Secret.Read(line, out secret) is { } wrong)
            {
                secret = null;
                return $"has a secret that {wrong}";
            }

            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"cannot be read: {error.Message.TrimEnd('.')}";
        }
        catch (DecoderFallbackException)
        {
            return "is not UTF-8";
        }
    }
}
