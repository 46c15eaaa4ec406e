using System.Text;

namespace Megaphone.Preflight;

/// <summary>The output of <c>megaphone check</c>: a line for each finding, and below it the fix.</summary>
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
        report.Append($"\n{Counted(findings.Count, "check")}, {Counted(warnings, "warning")}, {Counted(failures, "failure")}\n");
        return report.ToString();
    }

    private static string Counted(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";
}
