using System.Runtime.CompilerServices;
using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>One <typeparamref name="T"/> for each slot of a table, zeroed, in memory that is there only where it has been used.</summary>
/// <remarks>As thread-safe as what it is used for. What lies in it never moves, and owns nothing.</remarks>
/// <param name="slots">How many there are.</param>
/// <param name="isSecret">Whether it is to be left out of core dumps.</param>
/// <exception cref="IOException">There is no address space for them.</exception>
internal sealed unsafe class SlotMemory<T>(int slots, bool isSecret = false) : IDisposable
    where T : unmanaged
{
    private readonly ReservedMemory _memory = new((nuint)slots * (nuint)sizeof(T), isSecret);

    /// <summary>What there is for a slot.</summary>
    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref ((T*)_memory.Start)[index];
    }

    /// <summary>Zeroes what there is for some slots; their memory goes back to the kernel if it is whole pages.</summary>
    public void GiveBack(int first, int count) => _memory.GiveBack((nuint)first * (nuint)sizeof(T), (nuint)count * (nuint)sizeof(T));

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();
}
