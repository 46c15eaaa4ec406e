using System.Globalization;

namespace Megaphone.Tls;

/// <summary>One thing that keeps certificates from being used.</summary>
/// <param name="What">The file that it is about, and what is wrong with it.</param>
/// <param name="Fix">The command that fixes it, or what else to do; null where <paramref name="What"/> says so itself.</param>
internal sealed record CertificateProblem(string What, string? Fix = null)
{
    /// <summary>A certificate that is valid later.</summary>
    public static CertificateProblem NotYet(string which, DateTimeOffset from) =>
        new($"{which} is not valid before {Text(from)}", "`date -u` shows what time this machine takes it to be");

    /// <summary>One that was valid.</summary>
    public static CertificateProblem Expired(string which, DateTimeOffset until) => new($"{which} expired on {Text(until)}", "renew it");

    /// <summary>A time as messages show it.</summary>
    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    /// <summary>All of it in one line.</summary>
    public override string ToString() => Fix is null ? What : $"{What}; {Fix}";
}
