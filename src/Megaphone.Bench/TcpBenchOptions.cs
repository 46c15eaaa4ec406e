namespace Megaphone.Bench;

/// <summary>What the modes whose load is plain TCP connections have in common.</summary>
internal abstract record TcpBenchOptions
{
    /// <summary>The name of an option that each mode describes itself.</summary>
    protected const string RateName = "rate";

    /// <summary>Where connections go, and come from.</summary>
    public required TcpOptions Tcp { get; init; }

    /// <summary>How many connections there are.</summary>
    public required int Connections { get; init; }

    /// <summary>Connections, or messages, per second; 0: as fast as the other side answers.</summary>
    public required double Rate { get; init; }

    /// <summary>The options that every measuring mode has.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>The share of one worker, as options.</summary>
    public IEnumerable<string> ShareOf(int worker, int workers)
    {
        yield return $"--{BenchOption.Clients}={SplitBench.ShareOf(Connections, worker, workers)}";
        if (Rate > 0) yield return SplitBench.RateOf(RateName, Rate, workers);
    }
}
