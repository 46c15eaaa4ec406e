using System.Numerics;

namespace Megaphone.Cores;

/// <summary>Some of the machine's cores: the kernel's <c>cpu_set_t</c>, with room for as many as a kernel can be built for.</summary>
internal readonly struct CoreSet
{
    /// <summary>Bytes that the kernel reads or fills in.</summary>
    public const int Bytes = Capacity / 8;

    private const int Capacity = 8192;
    private const int WordBits = 64;
    private readonly ulong[] _words;

    /// <summary>Makes a set of words that the kernel has filled in.</summary>
    public CoreSet(ulong[] words) => _words = words;

    /// <summary>How many cores it has.</summary>
    public int Count
    {
        get
        {
            int count = 0;
            foreach (ulong word in _words) count += BitOperations.PopCount(word);
            return count;
        }
    }

    /// <summary>What the kernel reads: <see cref="Bytes"/>.</summary>
    public ReadOnlySpan<ulong> Words => _words;

    /// <summary>Room for one set, empty.</summary>
    public static ulong[] NewWords() => new ulong[Capacity / WordBits];

    /// <summary>A set of one core, with a number from 0 to 8191.</summary>
    public static CoreSet Of(int core)
    {
        ulong[] words = NewWords();
        words[core / WordBits] = 1UL << (core % WordBits);
        return new CoreSet(words);
    }

    /// <summary>Whether a core is in it. No core has a number below 0.</summary>
    public bool Contains(int core) => core is >= 0 and < Capacity && (_words[core / WordBits] >> (core % WordBits) & 1) != 0;
}
