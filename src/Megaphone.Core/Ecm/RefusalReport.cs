using Megaphone.Metrics;

namespace Megaphone.Ecm;

/// <summary>
/// Logs refused clients: one line with their numbers for each interval in which there were any, and one for those that limits kept out.
/// </summary>
internal sealed class RefusalReport(RoleMetrics metrics, EcmLog log) : IDisposable
{
    private const int Seconds = 10;

    /// <summary>The reasons, in the order of the log line.</summary>
    private static readonly RefusalReason[] Reasons =
    [
        RefusalReason.NoLink, RefusalReason.TooMany, RefusalReason.Descriptors, RefusalReason.Memory, RefusalReason.LinkFull,
        RefusalReason.Draining, RefusalReason.ProxyHeader,
    ];

    private readonly long[] _reported = new long[Reasons.Length];
    private readonly long[] _limited = new long[Enum.GetValues<Limit>().Length];
    private Timer? _timer;

    /// <summary>Starts the timer.</summary>
    public void Start() => _timer = new Timer(_ => Report(), null, TimeSpan.FromSeconds(Seconds), TimeSpan.FromSeconds(Seconds));

    /// <summary>Stops the timer.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Report()
    {
        long[] refused = new long[Reasons.Length];
        for (int i = 0; i < Reasons.Length; i++)
        {
            long count = metrics.Refused(Reasons[i]);
            refused[i] = count - _reported[i];
            _reported[i] = count;
        }

        if (refused.Sum() > 0) log.Refused(Seconds, refused[0], refused[1], refused[2], refused[3], refused[4], refused[5], refused[6]);
        List<string> limits = [];
        foreach (Limit limit in Enum.GetValues<Limit>())
        {
            long count = metrics.Limited(limit) - _limited[(int)limit];
            _limited[(int)limit] += count;
            if (count > 0) limits.Add($"{count} {Label.Of(limit)}");
        }

        if (limits.Count > 0) log.Limited(Seconds, string.Join(", ", limits));
    }
}
