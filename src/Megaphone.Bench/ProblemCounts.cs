using System.Collections.Concurrent;

namespace Megaphone.Bench;

/// <summary>The problems of a run, counted by kind. Thread-safe.</summary>
internal sealed class ProblemCounts
{
    /// <summary>More kinds than anybody reads: texts that come from a server must not fill the memory.</summary>
    private const int MaxKinds = 100;
    private const string Others = "other kinds of problems";

    private readonly ConcurrentDictionary<string, long> _counts = [];

    /// <summary>How many problems there were.</summary>
    public long Total => _counts.Values.Sum();

    /// <summary>The kinds, the most frequent first.</summary>
    public IReadOnlyList<(string Kind, long Count)> Kinds =>
        [.. _counts.OrderByDescending(kind => kind.Value).ThenBy(kind => kind.Key, StringComparer.Ordinal).Select(kind => (kind.Key, kind.Value))];

    /// <summary>Counts problems of one kind.</summary>
    public void Add(string kind, long count = 1)
    {
        if (count == 0) return;
        if (_counts.Count >= MaxKinds && !_counts.ContainsKey(kind)) kind = Others;
        _counts.AddOrUpdate(kind, count, (_, before) => before + count);
    }
}
