using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Reads how a role treats its own connections.</summary>
internal static class ConnectionSettings
{
    /// <summary>Reads what may wait for slow connections.</summary>
    public static BufferOptions ReadBuffers(SettingsReader reader, ConnectionKeys keys)
    {
        BufferOptions buffers = new()
        {
            LowBytes = reader.Read(keys.LowBytes),
            HighBytes = reader.Read(keys.HighBytes),
            LimitBytes = reader.Read(keys.LimitBytes),
            TotalBytes = reader.Read(keys.TotalBytes),
        };

        if (buffers.LowBytes >= buffers.HighBytes)
            Refuse(keys.LowBytes, buffers.LowBytes, "be below", keys.HighBytes, buffers.HighBytes, example: buffers.HighBytes / 4);
        if (buffers.LimitBytes < buffers.HighBytes)
            Refuse(keys.LimitBytes, buffers.LimitBytes, "not be below", keys.HighBytes, buffers.HighBytes, example: buffers.HighBytes);
        if (buffers.TotalBytes < buffers.LimitBytes)
            Refuse(keys.TotalBytes, buffers.TotalBytes, "not be below", keys.LimitBytes, buffers.LimitBytes, example: buffers.LimitBytes);
        return buffers;

        void Refuse(SettingKey key, long size, string how, SettingKey other, long otherSize, long example) => reader.Refuse(
            key,
            $"must {how} {other.Path}, which is {SizeText.Of(otherSize)} (this is {SizeText.Of(size)})",
            SizeText.Of(example));
    }

    /// <summary>Reads how vanished peers are found.</summary>
    public static TcpLivenessOptions ReadLiveness(SettingsReader reader, ConnectionKeys keys)
    {
        TcpLivenessOptions liveness = new()
        {
            Idle = reader.Read(keys.Idle),
            Interval = reader.Read(keys.Interval),
            Probes = reader.Read(keys.Probes),
            UserTimeout = reader.Read(keys.UserTimeout),
        };

        if (liveness.UserTimeout > TimeSpan.Zero && liveness.UserTimeout < liveness.UntilGone())
        {
            string untilGone = DurationText.Of(liveness.UntilGone());
            reader.Refuse(
                keys.UserTimeout,
                $"must be 0s, or not below Idle and {liveness.Probes} times Interval, which is {untilGone} "
                    + $"(this is {DurationText.Of(liveness.UserTimeout)}): one probe that is lost would end a connection",
                untilGone);
        }

        return liveness;
    }
}
