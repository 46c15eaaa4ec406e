using System.Runtime.CompilerServices;
using System.Text;
using Xunit.Sdk;

namespace Megaphone.Tests.Snapshots;

/// <summary>
/// Compares text with a file that was read and approved by a person. Names and places are those of the Verify package:
/// <c>Type.Method.verified.txt</c> beside the test's source; on a difference <c>Type.Method.received.txt</c> is written
/// next to it, to be looked at and, when it is right, to be renamed.
/// </summary>
internal static class Snapshot
{
    /// <summary>Fails unless <paramref name="actual"/> is what the verified file says.</summary>
    /// <param name="actual">
    /// The text to compare; line ends count as <c>\n</c>, white space at the very end does not count.
    /// </param>
    /// <param name="file">The test's source; its name without the ending is taken for the type's name.</param>
    /// <param name="member">The test's method.</param>
    public static void Match(string actual, [CallerFilePath] string file = "", [CallerMemberName] string member = "")
    {
        string stem = Path.Combine(
            Path.GetDirectoryName(file)!, $"{Path.GetFileNameWithoutExtension(file)}.{member}");
        string verified = stem + ".verified.txt";
        string received = stem + ".received.txt";

        string text = Normalize(actual);
        string? wanted = File.Exists(verified) ? Normalize(File.ReadAllText(verified)) : null;
        if (text == wanted)
        {
            File.Delete(received);
            return;
        }

        File.WriteAllText(received, text + "\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        throw new XunitException(
            (wanted is null ? "There is no verified file yet." : FirstDifference(wanted, text))
            + $"\n  verified: {verified}\n  received: {received}"
            + "\nWhen the received text is right, rename that file to the verified one.");
    }

    private static string Normalize(string text) => text.ReplaceLineEndings("\n").TrimEnd();

    private static string FirstDifference(string wanted, string actual)
    {
        string[] wantedLines = wanted.Split('\n');
        string[] actualLines = actual.Split('\n');
        int line = 0;
        while (line < wantedLines.Length && line < actualLines.Length && wantedLines[line] == actualLines[line]) line++;
        return $"Line {line + 1} differs."
            + $"\n  wanted: {LineOrEnd(wantedLines, line)}\n  actual: {LineOrEnd(actualLines, line)}";
    }

    private static string LineOrEnd(string[] lines, int line) => line < lines.Length ? lines[line] : "(end of text)";
}
