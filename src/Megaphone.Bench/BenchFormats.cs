using System.Globalization;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The formats of options whose like no setting of the service has.</summary>
internal static class BenchFormats
{
    /// <summary>Whether something is done.</summary>
    public static ValueFormat<bool> YesOrNo { get; } = ValueFormats.Choice(("no", false), ("yes", true));

    /// <summary>A number above zero, per second.</summary>
    public static ValueFormat<double> Rate { get; } = Decimal(0.001, 10_000_000, "1000");

    /// <summary>A number of seconds, fractions included.</summary>
    public static ValueFormat<TimeSpan> Seconds { get; } = new(
        (string text, out TimeSpan value) =>
        {
            string? wrong = ReadDecimal(text, 0, 86_400, out double seconds);
            value = TimeSpan.FromSeconds(seconds);
            return wrong;
        },
        "60");

    /// <summary>How clients log in.</summary>
    public static ValueFormat<LoginMethod> Login { get; } = ValueFormats.Choice(
        ("none", LoginMethod.None), ("anonymous", LoginMethod.Anonymous), ("plain", LoginMethod.Plain),
        ("scram-sha-1", LoginMethod.ScramSha1), ("scram-sha-256", LoginMethod.ScramSha256));

    /// <summary>An XMPP domain.</summary>
    public static ValueFormat<string> Domain { get; } = new(
        (string text, out string value) =>
        {
            value = text;
            return text.Length is > 0 and <= 255 && text.All(letter => char.IsLetterOrDigit(letter) || ".-_:[]".Contains(letter))
                ? null
                : "must be a domain";
        },
        "example.org");

    /// <summary>A name or password, in which <c>{0}</c> is the session's number.</summary>
    public static ValueFormat<string> Pattern { get; } = new(
        (string text, out string value) =>
        {
            value = text;
            return text.Length is > 0 and <= LoginMachine.MaxCredential - 10 && !text.Any(char.IsControl)
                ? null
                : $"must be 1 to {LoginMachine.MaxCredential - 10} printable characters";
        },
        "user{0}");

    /// <summary>The same for what is not told.</summary>
    public static ValueFormat<string> Password { get; } = Pattern with { IsSecret = true };

    /// <summary>The name of a file; <c>-</c> for standard output.</summary>
    public static ValueFormat<string> File { get; } = new(
        (string text, out string value) =>
        {
            value = text;
            return text.Length > 0 ? null : "must name a file";
        },
        "result.json");

    /// <summary>The name of a PEM file with authorities; or <c>none</c>.</summary>
    public static ValueFormat<string> Authorities { get; } = File with { Example = "ca.pem" };

    /// <summary>The name of one of the kernel's congestion controls.</summary>
    public static ValueFormat<string> Congestion { get; } = new(
        (string text, out string value) =>
        {
            value = text;
            return text.Length is > 0 and < 16 && text.All(char.IsAsciiLetterOrDigit) ? null : "must be the name of a congestion control";
        },
        "reno");

    /// <summary>The addresses that connections come from.</summary>
    public static ValueFormat<SourceAddresses?> Sources { get; } = new(
        (string text, out SourceAddresses? value) =>
            (value = SourceAddresses.Parse(text)) is null ? "must be an IPv4 address, or one with 8 to 32 bits of a prefix" : null,
        "127.64.0.0/10");

    /// <summary>Ids of processes that are there.</summary>
    public static ValueFormat<int[]> Processes { get; } = new(ReadProcesses, "4711,4712");

    private static ValueFormat<double> Decimal(double least, double most, string example) =>
        new((string text, out double value) => ReadDecimal(text, least, most, out value), example);

    private static string? ReadDecimal(string text, double least, double most, out double value) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value) && value >= least && value <= most
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"must be a number from {least} to {most}");

    private static string? ReadProcesses(string text, out int[] value)
    {
        List<int> ids = [];
        foreach (string part in text.Split(','))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || ProcessUsage.Of(id) is null)
            {
                value = [];
                return "must be the ids of running processes, with commas between them";
            }

            ids.Add(id);
        }

        value = [.. ids];
        return null;
    }
}
