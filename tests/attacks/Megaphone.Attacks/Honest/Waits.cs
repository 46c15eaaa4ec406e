namespace Megaphone.Attacks;

/// <summary>How long answers took, in milliseconds.</summary>
internal sealed class Waits
{
    private readonly double[] _sorted;

    /// <summary>Takes the measurements.</summary>
    public Waits(IEnumerable<double> waits)
    {
        _sorted = [.. waits];
        Array.Sort(_sorted);
    }

    /// <summary>How many answers there were.</summary>
    public int Count => _sorted.Length;

    /// <summary>The wait that 99 of 100 did not exceed.</summary>
    public double P99 => _sorted.Length == 0 ? 0 : _sorted[(int)Math.Ceiling(0.99 * _sorted.Length) - 1];

    /// <summary>The longest.</summary>
    public double Longest => _sorted.Length == 0 ? 0 : _sorted[^1];
}
