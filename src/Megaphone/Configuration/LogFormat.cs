namespace Megaphone.Configuration;

/// <summary>How a line of the log is written.</summary>
internal enum LogFormat
{
    /// <summary>For people: time, level, category and message.</summary>
    Text,

    /// <summary>For the journal of systemd, which has the time: priority, category and message, as sd-daemon(3) describes.</summary>
    Systemd,

    /// <summary>For programs: a JSON object.</summary>
    Json,
}
