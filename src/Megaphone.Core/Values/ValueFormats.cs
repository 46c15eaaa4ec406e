using System.Globalization;

namespace Megaphone.Values;

/// <summary>The formats that settings of the service and options of the load generator are written in.</summary>
internal static class ValueFormats
{
    /// <summary>Shorter secrets can be guessed.</summary>
    private const int ShortestSecret = 8;

    /// <summary>
    /// Hours first and all three parts there: what <see cref="TimeSpan.Parse(string)"/> makes of "30" (days) or
    /// "24:00:00" (days again) is not what the operator meant.
    /// </summary>
    private static readonly string[] DurationForms =
        [@"h\:m\:s", @"h\:m\:s\.FFFFFFF", @"d\.h\:m\:s", @"d\.h\:m\:s\.FFFFFFF"];

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public static ValueFormat<bool> Switch { get; } = new(ReadSwitch, "true");

    /// <summary>A name for people to read; one line.</summary>
    public static ValueFormat<string> Name { get; } = new(ReadName, "edge-1");

    /// <summary>The shared secret of a link.</summary>
    public static ValueFormat<string?> Secret { get; } = new(
        ReadSecret,
        "what `openssl rand -base64 24` prints",
        IsSecret: true);

    /// <summary>
    /// Where to connect to. Port 0 is let through; whether it makes sense is a matter of other keys.
    /// </summary>
    public static ValueFormat<HostPort> Target { get; } = new(ReadHostPort, "hub.example.org:6280 or [::1]:6280");

    /// <summary>A whole number within bounds.</summary>
    public static ValueFormat<int> Number(int least, int most, int example) => new(
        (string text, out int value) =>
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            && value >= least && value <= most
                ? null
                : $"must be a whole number from {least} to {most}",
        example.ToString(CultureInfo.InvariantCulture));

    /// <summary>A whole number within bounds that an <see cref="int"/> does not hold.</summary>
    public static ValueFormat<long> LongNumber(long least, long most, long example) => new(
        (string text, out long value) =>
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            && value >= least && value <= most
                ? null
                : $"must be a whole number from {least} to {most}",
        example.ToString(CultureInfo.InvariantCulture));

    /// <summary>A duration within bounds.</summary>
    public static ValueFormat<TimeSpan> Duration(TimeSpan least, TimeSpan most, TimeSpan example) => new(
        (string text, out TimeSpan value) =>
            TimeSpan.TryParseExact(text, DurationForms, CultureInfo.InvariantCulture, out value)
            && value >= least && value <= most
                ? null
                : $"must be a duration hh:mm:ss from {Text(least)} to {Text(most)}",
        Text(example));

    /// <summary>
    /// A duration of whole seconds within bounds: all that the kernel, or the protocol, has a place for.
    /// </summary>
    public static ValueFormat<TimeSpan> Seconds(TimeSpan least, TimeSpan most, TimeSpan example) => new(
        (string text, out TimeSpan value) =>
            TimeSpan.TryParseExact(text, DurationForms, CultureInfo.InvariantCulture, out value)
            && value >= least && value <= most && value.Ticks % TimeSpan.TicksPerSecond == 0
                ? null
                : $"must be a duration hh:mm:ss of whole seconds from {Text(least)} to {Text(most)}",
        Text(example));

    private static string Text(TimeSpan duration)
    {
        string text = duration.ToString("c", CultureInfo.InvariantCulture);
        return duration.Ticks % TimeSpan.TicksPerSecond != 0 ? text.TrimEnd('0') : text;
    }

    private static string? ReadSwitch(string text, out bool value) =>
        bool.TryParse(text, out value) ? null : "must be true or false";

    private static string? ReadName(string text, out string value)
    {
        value = text;
        return text.Length <= 255 && !text.Any(char.IsControl) ? null : "must be one line of at most 255 characters";
    }

    private static string? ReadSecret(string text, out string? value)
    {
        value = text;
        return text.Length >= ShortestSecret ? null : $"is shorter than {ShortestSecret} characters";
    }

    private static string? ReadHostPort(string text, out HostPort value)
    {
        bool right = HostPort.TryParse(text, out HostPort? given);
        value = given!;
        return right ? null : "must be HOST:PORT, an IPv6 address in brackets, the port from 1 to 65535";
    }
}
