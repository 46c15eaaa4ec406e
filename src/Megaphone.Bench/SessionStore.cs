using System.Runtime.InteropServices;

namespace Megaphone.Bench;

/// <summary>The sessions of a run, in one block of native memory that the kernel provides as they are used.</summary>
internal sealed unsafe class SessionStore(int count) : IDisposable
{
    private BenchSession* _sessions = (BenchSession*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(BenchSession));

    /// <summary>How many sessions there are.</summary>
    public int Count => count;

    /// <summary>A session by its index, 0 to <see cref="Count"/> - 1.</summary>
    public ref BenchSession this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)count);
            return ref _sessions[index];
        }
    }

    /// <summary>Frees the memory; no session may be used any more.</summary>
    public void Dispose()
    {
        NativeMemory.Free(_sessions);
        _sessions = null;
    }
}
