using Megaphone.Metrics;

namespace Megaphone.Ecm;

/// <summary>Tells the operator about refused clients: once per interval in which there were any, with their numbers.</summary>
internal sealed class RefusalReport(RoleMetrics metrics, EcmLog log) : IDisposable
{
    private const int Seconds = 10;
    private static readonly RefusalReason[] Reasons = Enum.GetValues<RefusalReason>();

    private readonly long[] _told = new long[Reasons.Length];
    private Timer? _timer;

    /// <summary>Begins.</summary>
    public void Start() => _timer = new Timer(_ => Tell(), null, TimeSpan.FromSeconds(Seconds), TimeSpan.FromSeconds(Seconds));

    /// <summary>Ends.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Tell()
    {
        long sum = 0;
        long[] fresh = new long[Reasons.Length];
        foreach (RefusalReason reason in Reasons)
        {
            long count = metrics.Refused(reason);
            fresh[(int)reason] = count - _told[(int)reason];
            _told[(int)reason] = count;
            sum += fresh[(int)reason];
        }

        if (sum == 0) return;
        log.Refused(
            Seconds, fresh[(int)RefusalReason.NoLink], fresh[(int)RefusalReason.TooMany], fresh[(int)RefusalReason.Descriptors],
            fresh[(int)RefusalReason.Memory], fresh[(int)RefusalReason.LinkFull]);
    }
}
