using System.Text;
using Megaphone.Operator;

namespace Megaphone.Cli;

/// <summary>What <c>megaphone config</c> prints for people.</summary>
internal static class ConfigurationText
{
    /// <summary>A line for each key, and one for each value that is not in force.</summary>
    public static string Write(ConfigurationReport report)
    {
        TextTable table = new("KEY", "VALUE", "FROM");
        foreach (ConfiguredValue value in report.Values) table.Add(value.Key, value.Value, value.Origin);
        StringBuilder text = new();
        table.Write(text);
        foreach (string line in report.Unchanged) text.Append(line).Append('\n');
        return text.ToString();
    }
}
