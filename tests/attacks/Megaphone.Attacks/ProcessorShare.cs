using System.Diagnostics;

namespace Megaphone.Attacks;

/// <summary>The processor time that a process uses.</summary>
internal sealed class ProcessorShare : IDisposable
{
    private readonly Process _process;
    private readonly TimeSpan _before;
    private readonly long _began = Stopwatch.GetTimestamp();

    /// <summary>Begins to measure.</summary>
    /// <param name="process">The process id.</param>
    public ProcessorShare(int process)
    {
        _process = Process.GetProcessById(process);
        _before = _process.TotalProcessorTime;
    }

    /// <summary>The share of one core used since then.</summary>
    public double Measure()
    {
        _process.Refresh();
        return (_process.TotalProcessorTime - _before) / Stopwatch.GetElapsedTime(_began);
    }

    /// <inheritdoc/>
    public void Dispose() => _process.Dispose();
}
