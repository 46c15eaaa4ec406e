using System.Globalization;

namespace Megaphone.Values;

/// <summary>The text form of durations: <c>250ms</c>, <c>30s</c>, <c>5m</c>, <c>1h</c>, or <c>hh:mm:ss</c>.</summary>
internal static class DurationText
{
    /// <summary>The largest one first.</summary>
    private static readonly (string Name, TimeSpan Length)[] Units =
    [
        ("h", TimeSpan.FromHours(1)), ("m", TimeSpan.FromMinutes(1)), ("s", TimeSpan.FromSeconds(1)), ("ms", TimeSpan.FromMilliseconds(1)),
    ];

    /// <summary>
    /// Hours first, and all three parts: <see cref="TimeSpan.Parse(string)"/> takes "30" and
    /// "24:00:00" for days, which no operator means.
    /// </summary>
    private static readonly string[] ClockForms = [@"h\:m\:s", @"h\:m\:s\.FFFFFFF", @"d\.h\:m\:s", @"d\.h\:m\:s\.FFFFFFF"];

    /// <summary>Parses a duration. A number needs a unit.</summary>
    public static bool TryParse(string text, out TimeSpan value)
    {
        foreach ((string name, TimeSpan length) in Units)
        {
            if (!text.EndsWith(name, StringComparison.Ordinal)
                || !long.TryParse(text.AsSpan(0, text.Length - name.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long number)
                || number > TimeSpan.MaxValue.Ticks / length.Ticks)
                continue;

            value = new TimeSpan(number * length.Ticks);
            return true;
        }

        return TimeSpan.TryParseExact(text, ClockForms, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>A duration in the largest unit that divides it.</summary>
    public static string Of(TimeSpan duration)
    {
        if (duration == TimeSpan.Zero) return "0s";
        foreach ((string name, TimeSpan length) in Units)
            if (duration.Ticks % length.Ticks == 0)
                return string.Create(CultureInfo.InvariantCulture, $"{duration.Ticks / length.Ticks}{name}");
        return duration.ToString("c", CultureInfo.InvariantCulture);
    }
}
