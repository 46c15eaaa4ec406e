using Megaphone.Metrics;

namespace Megaphone.Ecm;

/// <summary>Tells the operator about refused clients: once per interval in which there were any, with their numbers.</summary>
internal sealed class RefusalReport(RoleMetrics metrics, EcmLog log) : IDisposable
{
    private const int Seconds = 10;

    /// <summary>Why clients are refused, in the order of the line in the log.</summary>
    private static readonly RefusalReason[] Reasons =
        [RefusalReason.NoLink, RefusalReason.TooMany, RefusalReason.Descriptors, RefusalReason.Memory, RefusalReason.LinkFull];

    private readonly long[] _told = new long[Reasons.Length];
    private Timer? _timer;

    /// <summary>Begins.</summary>
    public void Start() => _timer = new Timer(_ => Tell(), null, TimeSpan.FromSeconds(Seconds), TimeSpan.FromSeconds(Seconds));

    /// <summary>Ends.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Tell()
    {
        long[] fresh = new long[Reasons.Length];
        for (int i = 0; i < Reasons.Length; i++)
        {
            long count = metrics.Refused(Reasons[i]);
            fresh[i] = count - _told[i];
            _told[i] = count;
        }

        if (fresh.Sum() > 0) log.Refused(Seconds, fresh[0], fresh[1], fresh[2], fresh[3], fresh[4]);
    }
}
