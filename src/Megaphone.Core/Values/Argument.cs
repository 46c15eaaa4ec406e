namespace Megaphone.Values;

/// <summary>One argument of a command line: an option with its value, or a word that belongs to no option.</summary>
/// <param name="Option">The option's name, without the two dashes; null for a word.</param>
/// <param name="Text">The option's value, null when it has none; or the word.</param>
internal readonly record struct Argument(string? Option, string? Text)
{
    private const string Dashes = "--";

    /// <summary>
    /// Parses <c>--option value</c> and <c>--option=value</c>. A value that begins with two dashes needs the equals sign.
    /// </summary>
    public static List<Argument> Parse(ReadOnlySpan<string> arguments)
    {
        List<Argument> parsed = [];
        for (int i = 0; i < arguments.Length; i++)
        {
            string argument = arguments[i];
            int equals = argument.IndexOf('=');
            if (!argument.StartsWith(Dashes, StringComparison.Ordinal) || argument == Dashes)
                parsed.Add(new Argument(null, argument));
            else if (equals >= 0)
                parsed.Add(new Argument(argument[Dashes.Length..equals], argument[(equals + 1)..]));
            else if (i + 1 < arguments.Length && !arguments[i + 1].StartsWith(Dashes, StringComparison.Ordinal))
                parsed.Add(new Argument(argument[Dashes.Length..], arguments[++i]));
            else
                parsed.Add(new Argument(argument[Dashes.Length..], null));
        }

        return parsed;
    }
}
