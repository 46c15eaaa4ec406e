namespace Megaphone.Hosting;

/// <summary>The journal of systemd, as what is at the other end of a stream.</summary>
internal static class Journal
{
    /// <summary>Descriptors of the standard streams.</summary>
    public const int Output = 1, Error = 2;

    /// <summary>What a line for the journal begins with that reports an error: sd-daemon(3).</summary>
    public const string ErrorPriority = "<3>";

    /// <summary>Whether a stream leads there.</summary>
    /// <param name="descriptor">The stream.</param>
    /// <param name="journal">The value of JOURNAL_STREAM, device and inode of the socket that does: systemd.exec(5). Sockets have one device.</param>
    public static bool IsAt(int descriptor, string? journal) =>
        journal?.Split(':') is [_, var inode] && new FileInfo($"/proc/self/fd/{descriptor}").LinkTarget == $"socket:[{inode}]";
}
