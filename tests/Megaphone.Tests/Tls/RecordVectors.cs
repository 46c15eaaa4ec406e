using System.Runtime.CompilerServices;

namespace Megaphone.Tests.Tls;

/// <summary>The lines of a file in Vectors, in words; comments are left out.</summary>
internal static class RecordVectors
{
    public static IEnumerable<string[]> Read(string name, [CallerFilePath] string here = "") =>
        File.ReadLines(Path.Combine(Path.GetDirectoryName(here)!, "Vectors", name))
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split(' '));
}
