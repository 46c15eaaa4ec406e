namespace Megaphone.Operator;

/// <summary>What the process uses.</summary>
/// <param name="MemoryBytes">Resident memory.</param>
/// <param name="MemoryBytesEach">That for each client or session, where there are enough for the rest not to matter; else null.</param>
/// <param name="CpuSeconds">Processor time.</param>
/// <param name="OpenFiles">Descriptors.</param>
/// <param name="MaxOpenFiles">How many it may have.</param>
internal sealed record ResourceStatus(long MemoryBytes, long? MemoryBytesEach, double CpuSeconds, long OpenFiles, long MaxOpenFiles);
