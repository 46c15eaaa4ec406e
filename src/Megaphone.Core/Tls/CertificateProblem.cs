using System.Globalization;

namespace Megaphone.Tls;

/// <summary>One thing that keeps certificates from being used.</summary>
/// <param name="File">The file that it is about; null: it is about none.</param>
/// <param name="Wrong">What is wrong with that.</param>
/// <param name="Fix">The command that fixes it, or what else to do; null where <paramref name="Wrong"/> says so itself.</param>
internal sealed record CertificateProblem(string? File, string Wrong, string? Fix = null)
{
    /// <summary>The file, and what is wrong with it.</summary>
    public string What => File is null ? Wrong : $"{File}: {Wrong}";

    /// <summary>A certificate that is valid later.</summary>
    public static CertificateProblem NotYet(string file, string which, DateTimeOffset from) =>
        new(file, $"{which} is not valid before {Text(from)}", "`date -u` shows what time this machine takes it to be");

    /// <summary>One that was valid.</summary>
    public static CertificateProblem Expired(string file, string which, DateTimeOffset until) =>
        new(file, $"{which} expired on {Text(until)}", "renew it");

    /// <summary>A time as messages show it.</summary>
    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    /// <summary>All of it in one line.</summary>
    public override string ToString() => Fix is null ? What : $"{What}; {Fix}";
}
