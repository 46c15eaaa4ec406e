using System.Globalization;

namespace Megaphone.Cli;

/// <summary>Figures as people read them.</summary>
internal static class HumanText
{
    private static readonly string[] Units = ["B", "KB", "MB", "GB", "TB", "PB"];

    /// <summary>A number with its thousands apart.</summary>
    public static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>Bytes, in powers of ten, with three digits.</summary>
    public static string Size(long bytes)
    {
        double size = bytes;
        int unit = 0;
        for (; size >= 999.5 && unit < Units.Length - 1; unit++) size /= 1000;
        string form = unit == 0 || size >= 99.95 ? "0" : size >= 9.995 ? "0.0" : "0.00";
        return $"{size.ToString(form, CultureInfo.InvariantCulture)} {Units[unit]}";
    }

    /// <summary>A time that has passed, in its two largest units.</summary>
    public static string Age(long seconds) => seconds switch
    {
        < 60 => $"{seconds}s",
        < 3600 => $"{seconds / 60}m {seconds % 60}s",
        < 86_400 => $"{seconds / 3600}h {seconds / 60 % 60}m",
        _ => $"{seconds / 86_400}d {seconds / 3600 % 24}h",
    };

    /// <summary>A short time.</summary>
    public static string Milliseconds(double seconds) => $"{(seconds * 1000).ToString("0.###", CultureInfo.InvariantCulture)} ms";

    /// <summary>A number of things.</summary>
    public static string Counted(long count, string what) => $"{Number(count)} {what}{(count == 1 ? "" : "s")}";
}
