using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Admin;

/// <summary>The status page: one file, built in, which gets all that it shows from <c>/status.json</c>.</summary>
internal static class StatusPage
{
    /// <summary>The page.</summary>
    public static byte[] Html { get; } = Load();

    /// <summary>Allows its own style and script, known by their hashes, and requests to where it came from; nothing else.</summary>
    public static string ContentSecurityPolicy { get; } =
        $"default-src 'none'; style-src {HashOf("style")}; script-src {HashOf("script")}; connect-src 'self'; img-src data:; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static byte[] Load()
    {
        using Stream resource = typeof(StatusPage).Assembly.GetManifestResourceStream("status.html")!;
        byte[] page = new byte[resource.Length];
        resource.ReadExactly(page);
        return page;
    }

    /// <summary>The hash of what the page's only element of a name holds.</summary>
    private static string HashOf(string element)
    {
        string page = Encoding.UTF8.GetString(Html), opening = $"<{element}>";
        int begin = page.IndexOf(opening, StringComparison.Ordinal) + opening.Length;
        string content = page[begin..page.IndexOf($"</{element}>", begin, StringComparison.Ordinal)];
        return $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(content)))}'";
    }
}
