using System.Text;

namespace Megaphone.Preflight;

/// <summary>What <c>megaphone check</c> prints: a line for each finding, and under it what fixes it.</summary>
internal static class CheckReport
{
    /// <summary>Writes the table.</summary>
    public static string Write(string? file, IReadOnlyList<Finding> findings)
    {
        int width = findings.Max(finding => finding.Topic.Length);
        StringBuilder report = new();
        report.Append($"Configuration file: {file ?? "none"}\n\n");
        foreach (Finding finding in findings)
        {
            string verdict = finding.Verdict switch { Verdict.Ok => "ok", Verdict.Warn => "warn", _ => "FAIL" };
            report.Append($"  {verdict,-4}  {finding.Topic.PadRight(width)}  {finding.What}\n");
            if (finding.Fix is not null) report.Append($"        {"".PadRight(width)}  fix: {finding.Fix}\n");
        }

        int warnings = findings.Count(finding => finding.Verdict == Verdict.Warn);
        int failures = findings.Count(finding => finding.Verdict == Verdict.Fail);
        report.Append($"\n{findings.Count} looked at, {warnings} to warn of, ");
        report.Append($"{failures} that keep the configuration from working\n");
        return report.ToString();
    }
}
