using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>Writes the log out before the process's next image forgets what waits.</summary>
/// <param name="providers">Those that write the log.</param>
internal sealed class LastWords(IEnumerable<ILoggerProvider> providers)
{
    /// <summary>Writes what waits. From then on each line is written by the thread that has it.</summary>
    /// <remarks>The console's logger has a thread for its lines, which ends with this.</remarks>
    public void Write()
    {
        foreach (ILoggerProvider provider in providers) provider.Dispose();
    }
}
