using System.Runtime.CompilerServices;

namespace Megaphone.EndToEnd.Support;

/// <summary>Where things are in the repository that these tests were built from.</summary>
internal static class Repository
{
    /// <summary>The repository's root folder.</summary>
    public static string Root { get; } = Path.GetFullPath(Path.Combine(ThisFolder(), "../../.."));

    /// <summary>The published binary: <c>MEGAPHONE_BINARY</c>, or <c>out/megaphone</c>.</summary>
    /// <exception cref="FileNotFoundException">It is missing: the tests fail, because skipping them would look like passing.</exception>
    public static string Binary
    {
        get
        {
            string path = Path.GetFullPath(Environment.GetEnvironmentVariable("MEGAPHONE_BINARY") ?? Path.Combine(Root, "out/megaphone"));
            return File.Exists(path)
                ? path
                : throw new FileNotFoundException($"The published binary is missing at {path}: run ./publish.sh, or set MEGAPHONE_BINARY.");
        }
    }

    private static string ThisFolder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
}
