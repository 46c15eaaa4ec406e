using System.Diagnostics.CodeAnalysis;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options that were given for a mode. Every problem with them is collected.</summary>
internal sealed class OptionValues
{
    private readonly Dictionary<string, string> _given = [];
    private readonly Dictionary<string, string> _inForce = [];
    private readonly BenchMode _mode;
    private readonly string[] _arguments;
    private readonly List<Problem> _problems;

    /// <summary>Takes the arguments apart.</summary>
    /// <param name="mode">Whose options they are.</param>
    /// <param name="arguments"><c>--option value</c> or <c>--option=value</c>, as often as one likes.</param>
    /// <param name="problems">Where problems are added.</param>
    public OptionValues(BenchMode mode, ReadOnlySpan<string> arguments, List<Problem> problems)
    {
        _mode = mode;
        _arguments = arguments.ToArray();
        _problems = problems;
        foreach ((string? name, string? value) in Argument.Parse(arguments))
        {
            if (name is null)
            {
                problems.Add(new Problem(
                    "command line", value, "is neither an option nor the value of one", $"see megaphone bench {mode.Name} --help"));
                continue;
            }

            BenchOption? option = BenchOption.Find(mode.Options, name);
            if (option is null)
            {
                string? nearest = NearestKey.To(name, mode.Options.Select(option => option.Name));
                problems.Add(new Problem(
                    $"--{name}", value, $"is no option of bench {mode.Name}",
                    nearest is null ? $"see megaphone bench {mode.Name} --help" : $"did you mean --{nearest}?"));
            }
            else if (value is null)
            {
                problems.Add(new Problem($"--{name}", null, "has no value", $"for example {option.Default ?? option.Form}"));
            }
            else
            {
                _given[option.Name] = value;
            }
        }
    }

    /// <summary>The options that have been read, with the values that they have, given or not; without secrets.</summary>
    public IReadOnlyDictionary<string, string> InForce => _inForce;

    /// <summary>
    /// A run that is split over processes: each gets these options too, and of one given twice the last one counts.
    /// </summary>
    /// <param name="workers">The number of processes.</param>
    /// <param name="share">The share of one worker, as options.</param>
    /// <param name="run">The options that every measuring mode has.</param>
    /// <param name="context">Ends the run early.</param>
    public IBench Split(int workers, Func<int, IEnumerable<string>> share, RunOptions run, RunContext context) =>
        new SplitBench(
            _mode.Name, [.. Enumerable.Range(0, workers).Select(worker => (IReadOnlyList<string>)[.. _arguments, .. share(worker)])], run, context);

    /// <summary>An option's value, or its default.</summary>
    [return: MaybeNull]
    public T Get<T>(BenchOption option, ValueFormat<T> format)
    {
        if (!_given.TryGetValue(option.Name, out string? text) && (text = option.Default) is null)
        {
            if (option.Required) _problems.Add(new Problem($"--{option.Name}", null, "is missing", $"for example {format.Example}"));
            return default;
        }

        if (format.Read(text, out T value) is { } wrong)
            _problems.Add(new Problem($"--{option.Name}", format.IsSecret ? null : text, wrong, $"for example {format.Example}"));
        if (!format.IsSecret) _inForce[option.Name] = text;
        return value;
    }

    /// <summary>Says that an option does not go with the others.</summary>
    public void Refuse(BenchOption option, string wrong, string advice) =>
        _problems.Add(new Problem($"--{option.Name}", _given.GetValueOrDefault(option.Name), wrong, advice));
}
