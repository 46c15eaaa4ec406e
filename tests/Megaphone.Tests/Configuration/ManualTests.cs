using System.Runtime.CompilerServices;
using Megaphone.Configuration;
using Xunit;

namespace Megaphone.Tests.Configuration;

/// <summary>The manual's table of keys is that of the program.</summary>
public class ManualTests
{
    private const string Header = "| key | default | values | meaning |";

    [Fact]
    public void The_manual_shows_the_table_of_keys()
    {
        string manual = Path.GetFullPath(Path.Combine(Folder(), "../../../docs/operating.md"));
        string received = Path.ChangeExtension(manual, ".received.md");
        string[] lines = File.ReadAllLines(manual);
        int start = Array.IndexOf(lines, Header);
        Assert.True(start >= 0, $"{manual} has no line {Header}");
        string[] shown = [.. lines.Skip(start).TakeWhile(line => line.StartsWith('|'))];
        string[] right = [Header, "|---|---|---|---|", .. Rows()];
        if (shown.SequenceEqual(right))
        {
            File.Delete(received);
            return;
        }

        File.WriteAllLines(received, [.. lines[..start], .. right, .. lines[(start + shown.Length)..]]);
        Assert.Fail(string.Join('\n',
        [
            "docs/operating.md does not show the keys as they are:",
            .. shown.Except(right).Select(line => $"- {line}"),
            .. right.Except(shown).Select(line => $"+ {line}"),
            $"The right text: mv {received} {manual}",
        ]));
    }

    /// <summary>Keys of both roles that are alike share a row.</summary>
    private static IEnumerable<string> Rows() => SettingKeys.All
        .GroupBy(key => (key.Default, key.Form, key.Meaning))
        .Select(keys => $"| {string.Join(", ", keys.Select(key => $"`{key.Path}`"))} | {keys.Key.Default} | {keys.Key.Form} | {keys.Key.Meaning} |");

    private static string Folder([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
