using System.Globalization;
using System.Numerics;

namespace Megaphone.Values;

/// <summary>The formats of the service's settings and the load generator's options.</summary>
internal static class ValueFormats
{
    /// <summary>Shorter secrets can be guessed.</summary>
    private const int ShortestSecret = 8;

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public static ValueFormat<bool> Switch { get; } = new(ReadSwitch, "true")
    {
        Form = "true or false",
        Write = value => value ? "true" : "false",
    };

    /// <summary>A name for people to read; one line.</summary>
    public static ValueFormat<string> Name { get; } = new(ReadName, "edge-1") { Form = "one line" };

    /// <summary>The shared secret of a link.</summary>
    public static ValueFormat<string?> Secret { get; } = new(
        ReadSecret,
        "what `openssl rand -base64 24` prints",
        IsSecret: true)
    {
        Form = $"at least {ShortestSecret} characters",
    };

    /// <summary>
    /// An address to connect to. Port 0 is accepted here; whether it is valid depends on other keys.
    /// </summary>
    public static ValueFormat<HostPort> Target { get; } = new(ReadHostPort, "hub.example.org:6280 or [::1]:6280") { Form = "HOST:PORT" };

    /// <summary>A whole number within bounds.</summary>
    public static ValueFormat<int> Number(int least, int most, int example) => new(
        (string text, out int value) =>
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            && value >= least && value <= most
                ? null
                : $"must be a whole number from {least} to {most}",
        example.ToString(CultureInfo.InvariantCulture))
    {
        Form = $"{least} to {most}",
    };

    /// <summary>A number of bytes within bounds.</summary>
    public static ValueFormat<T> Size<T>(T least, T most, T example) where T : IBinaryInteger<T> => new(
        (string text, out T value) =>
        {
            bool isValid = SizeText.TryParse(text, out long size) && size >= long.CreateChecked(least) && size <= long.CreateChecked(most);
            value = isValid ? T.CreateChecked(size) : least;
            return isValid ? null : $"must be a number of bytes from {Write(least)} to {Write(most)}";
        },
        Write(example))
    {
        Form = $"{Write(least)} to {Write(most)}",
        Write = Write,
    };

    /// <summary>A duration within bounds.</summary>
    public static ValueFormat<TimeSpan> Duration(TimeSpan least, TimeSpan most, TimeSpan example) =>
        Duration("a duration", unit: 1, least, most, example);

    /// <summary>
    /// A duration of whole seconds within bounds: finer ones do not fit the kernel's interface, or the protocol.
    /// </summary>
    public static ValueFormat<TimeSpan> Seconds(TimeSpan least, TimeSpan most, TimeSpan example) =>
        Duration("a duration of whole seconds", TimeSpan.TicksPerSecond, least, most, example);

    /// <summary>One of several words; the first is the example.</summary>
    public static ValueFormat<T> Choice<T>(params (string Word, T Value)[] choices)
    {
        string[] words = new string[choices.Length];
        for (int i = 0; i < words.Length; i++) words[i] = choices[i].Word;
        string form = $"{string.Join(", ", words[..^1])} or {words[^1]}";
        return new ValueFormat<T>(
            (string text, out T value) =>
            {
                int found = Array.IndexOf(words, text);
                value = choices[Math.Max(0, found)].Value;
                return found >= 0 ? null : $"must be {form}";
            },
            words[0])
        {
            Form = form,
            Write = value =>
            {
                int i = 0;
                while (!Equals(choices[i].Value, value)) i++;
                return words[i];
            },
        };
    }

    private static ValueFormat<TimeSpan> Duration(string what, long unit, TimeSpan least, TimeSpan most, TimeSpan example) => new(
        (string text, out TimeSpan value) =>
            DurationText.TryParse(text, out value) && value >= least && value <= most && value.Ticks % unit == 0
                ? null
                : $"must be {what} from {DurationText.Of(least)} to {DurationText.Of(most)}",
        DurationText.Of(example))
    {
        Form = $"{DurationText.Of(least)} to {DurationText.Of(most)}",
        Write = DurationText.Of,
    };

    private static string Write<T>(T size) where T : IBinaryInteger<T> => SizeText.Of(long.CreateChecked(size));

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
        bool valid = HostPort.TryParse(text, out HostPort? given) && !given!.IsAll;
        value = given!;
        return valid ? null : "must be HOST:PORT, an IPv6 address in brackets, the port from 1 to 65535";
    }
}
