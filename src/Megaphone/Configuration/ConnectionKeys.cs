using Megaphone.Reactor;

namespace Megaphone.Configuration;

/// <summary>The keys for a role's own connections: what may wait for slow ones, and how vanished peers are found.</summary>
/// <param name="table">Where they are declared.</param>
/// <param name="role">The role's section.</param>
internal sealed class ConnectionKeys(KeyTable table, string role)
{
    private const int LargestBuffer = 512 << 20;

    private static readonly BufferOptions Buffers = new();
    private static readonly TcpLivenessOptions Liveness = new();
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>The kernel's own ceiling for TCP_KEEPIDLE and TCP_KEEPINTVL.</summary>
    private static readonly TimeSpan LongestProbeTime = TimeSpan.FromSeconds(32_767);

    public SettingKey<int> LowBytes { get; } = table.Size(
        $"{role}:Buffers:LowBytes", 0, LargestBuffer, Buffers.LowBytes, "a paused session is resumed when no more than this waits for it");

    public SettingKey<int> HighBytes { get; } = table.Size(
        $"{role}:Buffers:HighBytes", 1, LargestBuffer, Buffers.HighBytes, "a slow session is paused when so much waits for it");

    public SettingKey<int> LimitBytes { get; } = table.Size(
        $"{role}:Buffers:LimitBytes", 1, LargestBuffer, Buffers.LimitBytes,
        "a session for which more would wait is reset; below what a link holds (rings and socket buffers, about 8M) this hits honest ones, too");

    public SettingKey<long> TotalBytes { get; } = table.LongSize(
        $"{role}:Buffers:TotalBytes", 1, 1L << 50, Buffers.TotalBytes,
        "memory of all these buffers of the role together; a buffer takes up to twice what is in it");

    public SettingKey<TimeSpan> Idle { get; } = table.Seconds(
        $"{role}:TcpKeepAlive:Idle", Second, LongestProbeTime, Liveness.Idle,
        "silence before the first probe; up to a quarter less for each connection, so that not all are asked at once");

    public SettingKey<TimeSpan> Interval { get; } = table.Seconds(
        $"{role}:TcpKeepAlive:Interval", Second, LongestProbeTime, Liveness.Interval,
        "time between probes; up to a quarter less for each connection");

    public SettingKey<int> Probes { get; } = table.Number(
        $"{role}:TcpKeepAlive:Probes", 1, 127, Liveness.Probes, "unanswered probes after which the peer is gone");

    public SettingKey<TimeSpan> UserTimeout { get; } = table.Duration(
        $"{role}:TcpKeepAlive:UserTimeout", TimeSpan.Zero, TimeSpan.FromDays(1), Liveness.UserTimeout,
        "how long data may stay unanswered, or a client with data waiting may read none of it; 0s, or not below `Idle` and `Probes` times "
        + "`Interval`: Linux counts it from when the peer was last heard, and one lost probe would end a client");
}
