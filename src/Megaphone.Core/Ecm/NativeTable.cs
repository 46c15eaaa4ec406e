using System.Runtime.InteropServices;
using Megaphone.Links;

namespace Megaphone.Ecm;

/// <summary>A hash table of plain data, by numbers that strangers choose, in native memory: the garbage collector has nothing to scan.</summary>
/// <remarks>
/// <para>Linear probing over entries that lie side by side, in a table of any size: where an entry belongs is its hash, scaled to that
/// (<see cref="KeyedNumber"/>, so that nobody can have entries collide). It is at most three quarters full and grows by a sixth, so that there is
/// memory for at most 1.6 entries for each one in it, as soon as there are many.</para>
/// <para>Not thread-safe. What it returns is valid until the next addition or removal.</para>
/// </remarks>
/// <typeparam name="T">What is kept for a number. Its zeros are what a number begins with.</typeparam>
internal sealed unsafe class NativeTable<T> : IDisposable
    where T : unmanaged
{
    private const int SmallestSize = 8;

    private Entry* _entries;

    /// <summary>Numbers in it.</summary>
    public int Count { get; private set; }

    /// <summary>Places in it; see <see cref="At"/>.</summary>
    public int Size { get; private set; }

    /// <summary>The memory that it takes, in bytes.</summary>
    public long Bytes => (long)Size * sizeof(Entry);

    /// <summary>The hash of a number, which its methods are given so that callers may use it, too: both its upper and its lower bits.</summary>
    /// <remarks>Numbers in a row have keyed hashes at equal distances; what is done to these (as in MurmurHash3) spreads them.</remarks>
    public static uint HashOf(ulong number)
    {
        uint hash = (uint)new KeyedNumber(number).GetHashCode();
        hash = (hash ^ (hash >> 16)) * 0x85EBCA6B;
        hash = (hash ^ (hash >> 13)) * 0xC2B2AE35;
        return hash ^ (hash >> 16);
    }

    /// <summary>Finds a number.</summary>
    /// <returns>Null when it is not there.</returns>
    public T* Find(ulong number, uint hash)
    {
        int index = IndexOf(number, hash);
        return index < 0 ? null : &_entries[index].Value;
    }

    /// <summary>Adds a number that is not there.</summary>
    /// <param name="number">Any but 2⁶⁴ − 1.</param>
    /// <param name="hash">Its hash.</param>
    /// <returns>What is kept for it: zeros.</returns>
    public T* Add(ulong number, uint hash)
    {
        if (4L * (Count + 1) > 3L * Size) Resize(Size + (Size / 6) + SmallestSize);
        Count++;
        Entry* entry = Insert(number, hash);
        entry->Value = default;
        return &entry->Value;
    }

    /// <summary>Removes a number, if it is there.</summary>
    public void Remove(ulong number, uint hash)
    {
        int index = IndexOf(number, hash);
        if (index >= 0) RemoveAt(index);
    }

    /// <summary>What is in a place.</summary>
    /// <returns>Null when there is nothing.</returns>
    public T* At(int index, out ulong number)
    {
        Entry* entry = _entries + index;
        number = ~entry->Key;
        return entry->Key == 0 ? null : &entry->Value;
    }

    /// <summary>Removes what is in a place. Something else may be there afterwards.</summary>
    public void RemoveAt(int index)
    {
        // What a search would not find across the gap moves into it.
        int gap = index;
        for (int next = Behind(gap); _entries[next].Key != 0; next = Behind(next))
        {
            if (Distance(HomeOf(HashOf(~_entries[next].Key)), next) < Distance(gap, next)) continue;
            _entries[gap] = _entries[next];
            gap = next;
        }

        _entries[gap] = default;
        if (--Count < Size / 4 && Size > 4 * SmallestSize) Resize(Size / 2);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.Free(_entries);
        _entries = null;
        (Count, Size) = (0, 0);
    }

    private int IndexOf(ulong number, uint hash)
    {
        if (Size == 0) return -1;
        ulong key = ~number;
        int index = HomeOf(hash);
        while (true)
        {
            ulong found = _entries[index].Key;
            if (found == key) return index;
            if (found == 0) return -1;
            index = Behind(index);
        }
    }

    private Entry* Insert(ulong number, uint hash)
    {
        int index = HomeOf(hash);
        while (_entries[index].Key != 0) index = Behind(index);
        _entries[index].Key = ~number;
        return _entries + index;
    }

    private void Resize(int size)
    {
        Entry* old = _entries;
        int oldSize = Size;
        _entries = (Entry*)NativeMemory.AllocZeroed((nuint)size, (nuint)sizeof(Entry));
        Size = size;
        for (int i = 0; i < oldSize; i++)
        {
            ulong number = ~old[i].Key;
            if (old[i].Key != 0) Insert(number, HashOf(number))->Value = old[i].Value;
        }

        NativeMemory.Free(old);
    }

    private int HomeOf(uint hash) => (int)(((ulong)hash * (uint)Size) >> 32);

    private int Behind(int index) => index + 1 == Size ? 0 : index + 1;

    private int Distance(int from, int to) => to >= from ? to - from : to - from + Size;

    /// <summary>A place: no larger than what is in it.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Entry
    {
        /// <summary>The number, inverted, so that zeros are an empty place.</summary>
        public ulong Key;

        public T Value;
    }
}
