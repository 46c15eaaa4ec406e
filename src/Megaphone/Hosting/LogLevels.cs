using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Megaphone.Hosting;

/// <summary>The least level that is logged, by category, which may change while the service runs. Thread-safe.</summary>
/// <param name="configured">By category, or beginning of one; <see cref="Default"/> for the rest.</param>
internal sealed class LogLevels(IReadOnlyDictionary<string, LogLevel> configured)
    : IConfigureOptions<LoggerFilterOptions>, IOptionsChangeTokenSource<LoggerFilterOptions>, IDisposable
{
    /// <summary>In the place of a category: all that have no level of their own.</summary>
    public const string Default = "Default";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LogLevel> _changed = new(StringComparer.OrdinalIgnoreCase);
    private CancellationTokenSource _change = new();

    /// <inheritdoc/>
    public string Name => Options.DefaultName;

    /// <summary>What was changed since the start.</summary>
    public IReadOnlyDictionary<string, LogLevel> Changed
    {
        get
        {
            lock (_lock) return new Dictionary<string, LogLevel>(_changed);
        }
    }

    /// <summary>Changes a level, for all loggers that there are and will be.</summary>
    public void Set(string category, LogLevel level)
    {
        CancellationTokenSource changed;
        lock (_lock)
        {
            _changed[category] = level;
            (changed, _change) = (_change, new CancellationTokenSource());
        }

        changed.Cancel();
    }

    /// <inheritdoc/>
    public void Configure(LoggerFilterOptions options)
    {
        // The host would log a failed start again, with a stack trace.
        options.Rules.Add(new LoggerFilterRule(null, "Microsoft.Extensions.Hosting", LogLevel.None, null));
        foreach ((string category, LogLevel level) in configured.Concat(Changed))
        {
            if (category.Equals(Default, StringComparison.OrdinalIgnoreCase)) options.MinLevel = level;
            else options.Rules.Add(new LoggerFilterRule(null, category, level, null));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _change.Dispose();

    /// <inheritdoc/>
    public IChangeToken GetChangeToken()
    {
        lock (_lock) return new CancellationChangeToken(_change.Token);
    }
}
