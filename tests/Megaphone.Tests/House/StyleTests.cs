using System.Runtime.CompilerServices;
using Xunit;

namespace Megaphone.Tests.House;

/// <summary>The form of the repository's text files, as CONTRIBUTING.md describes it.</summary>
public sealed class StyleTests
{
    private const int MaxCharacters = 150;
    private const int MaxLines = 420;

    private static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "../../.."));

    /// <summary>The folders whose files are checked, besides the files of the root itself.</summary>
    private static readonly string[] Folders = ["src", "tests", "docs", "scripts", "packaging", ".ci", ".github"];

    /// <summary>Names of folders that hold what is built, downloaded or found by fuzzing.</summary>
    private static readonly string[] SkippedFolders = ["artifacts", "bin", "corpus", "node_modules", "obj", "out"];

    private static readonly string[] Extensions =
        [".c", ".cs", ".csproj", ".erl", ".hrl", ".js", ".md", ".mjs", ".props", ".py", ".sh"];

    /// <summary>The path of each file from the root, and its text cut at each newline: what follows the last one is the last element.</summary>
    private static readonly (string Path, string[] Lines)[] Files =
    [
        .. Directory.EnumerateFiles(Root).Concat(Folders.SelectMany(folder => FilesBelow(Path.Combine(Root, folder))))
            .Where(IsChecked)
            .Select(file => (Path: Path.GetRelativePath(Root, file), Lines: File.ReadAllText(file).Split('\n'))),
    ];

    [Fact]
    public void Sources_documents_and_scripts_are_checked() =>
        Assert.Superset(
            new HashSet<string> { "README.md", "publish.sh", ".ci/run", Path.GetRelativePath(Root, ThisFile()) },
            Files.Select(file => file.Path).ToHashSet());

    [Fact]
    public void Lines_have_at_most_150_characters_except_tables_and_samples_in_Markdown() => AssertNone(
        Files.SelectMany(file => LinesOf(file, withoutSamples: true))
            .Select(line => (line.Place, Length: line.Text.EnumerateRunes().Count()))
            .Where(line => line.Length > MaxCharacters)
            .Select(line => $"{line.Place}: has {line.Length} characters, and {MaxCharacters} are allowed"));

    [Fact]
    public void Lines_do_not_end_with_white_space() => AssertNone(
        Files.SelectMany(file => LinesOf(file))
            .Where(line => line.Text.Length > 0 && char.IsWhiteSpace(line.Text[^1]))
            .Select(line => $"{line.Place}: ends with white space"));

    [Fact]
    public void There_are_no_tabs_in_CSharp() => AssertNone(
        Files.Where(file => Path.GetExtension(file.Path) == ".cs").SelectMany(file => LinesOf(file))
            .Where(line => line.Text.Contains('\t'))
            .Select(line => $"{line.Place}: has a tab; write spaces, and \\t in a string"));

    [Fact]
    public void Files_end_with_one_newline() => AssertNone(
        Files.Where(file => file.Lines is not [.., not "", ""])
            .Select(file => $"{file.Path}:{file.Lines.Length}: does not end with one newline"));

    [Fact]
    public void Files_in_src_have_at_most_420_lines() => AssertNone(
        Files.Where(file => file.Path.StartsWith("src/", StringComparison.Ordinal) && file.Lines.Length - 1 > MaxLines)
            .Select(file => $"{file.Path}:{MaxLines + 1}: is one of {file.Lines.Length - 1} lines, and {MaxLines} are allowed"));

    private static void AssertNone(IEnumerable<string> faults)
    {
        string[] all = [.. faults];
        Assert.True(all.Length == 0, $"These places are not in the form that CONTRIBUTING.md describes:\n{string.Join('\n', all)}");
    }

    /// <summary>The lines of a file with their places; from Markdown without rows of tables and indented or fenced samples, if so wanted.</summary>
    private static IEnumerable<(string Place, string Text)> LinesOf((string Path, string[] Lines) file, bool withoutSamples = false)
    {
        bool skips = withoutSamples && Path.GetExtension(file.Path) == ".md", isFenced = false;
        for (int i = 0; i < file.Lines.Length; i++)
        {
            string line = file.Lines[i];
            if (skips && line.TrimStart().StartsWith("```", StringComparison.Ordinal)) isFenced = !isFenced;
            if (skips && (isFenced || line.StartsWith('|') || line.StartsWith("    ", StringComparison.Ordinal))) continue;
            yield return ($"{file.Path}:{i + 1}", line);
        }
    }

    private static IEnumerable<string> FilesBelow(string folder) =>
        !Directory.Exists(folder) || SkippedFolders.Contains(Path.GetFileName(folder))
            ? []
            : Directory.EnumerateFiles(folder).Concat(Directory.EnumerateDirectories(folder).SelectMany(FilesBelow));

    /// <summary>Whether a file is text of ours: a snapshot, which a test writes, is not.</summary>
    private static bool IsChecked(string file)
    {
        string name = Path.GetFileName(file);
        if (name.Contains(".verified.") || name.Contains(".received.")) return false;
        return Path.GetExtension(file) is { Length: > 0 } extension ? Extensions.Contains(extension) : IsScript(file);
    }

    private static bool IsScript(string file)
    {
        using FileStream stream = File.OpenRead(file);
        return stream.ReadByte() == '#' && stream.ReadByte() == '!';
    }

    private static string ThisFile([CallerFilePath] string file = "") => file;
}
