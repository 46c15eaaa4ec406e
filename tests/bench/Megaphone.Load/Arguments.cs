using System.Globalization;
using System.Net;

namespace Megaphone.Load;

/// <summary>What stands behind the command's name: <c>--name value</c> pairs.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string> _values = [];

    /// <exception cref="FormatException">A name without a value, or something that is no name.</exception>
    public Arguments(ReadOnlySpan<string> args)
    {
        for (int i = 0; i < args.Length; i += 2)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length)
                throw new FormatException($"expected --name value, not {args[i]}");
            _values[args[i][2..]] = args[i + 1];
        }
    }

    /// <summary>An address and port.</summary>
    /// <exception cref="FormatException">It is missing, or is none.</exception>
    public IPEndPoint EndPoint(string name) => IPEndPoint.TryParse(Take(name) ?? "", out IPEndPoint? value)
        ? value
        : throw new FormatException($"--{name} must be ADDRESS:PORT");

    /// <summary>A number; <paramref name="otherwise"/> when it is not given.</summary>
    /// <exception cref="FormatException">It is no number, or is below <paramref name="min"/>.</exception>
    public double Number(string name, double otherwise, double min = 0) =>
        Take(name) is not { } text ? otherwise
        : double.TryParse(text, CultureInfo.InvariantCulture, out double value) && value >= min ? value
        : throw new FormatException($"--{name} must be a number of at least {min}");

    /// <summary>A whole number; <paramref name="otherwise"/> when it is not given.</summary>
    /// <exception cref="FormatException">It is no number, or is below <paramref name="min"/>.</exception>
    public int Count(string name, int otherwise, int min = 0) => (int)Number(name, otherwise, min);

    /// <summary>Process ids, with commas between them; none when it is not given.</summary>
    /// <exception cref="FormatException">Something that is no number.</exception>
    public int[] ProcessIds(string name) =>
        Take(name) is { } text ? [.. text.Split(',').Select(id => int.Parse(id, CultureInfo.InvariantCulture))] : [];

    /// <summary>Any words; null when they are not given.</summary>
    public string? Text(string name) => Take(name);

    /// <summary>Call when all are read.</summary>
    /// <exception cref="FormatException">There is one that nobody asked for.</exception>
    public void RefuseOthers()
    {
        if (_values.Count > 0) throw new FormatException($"unknown: --{_values.Keys.First()}");
    }

    private string? Take(string name) => _values.Remove(name, out string? value) ? value : null;
}
