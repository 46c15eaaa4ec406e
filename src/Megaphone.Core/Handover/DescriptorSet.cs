namespace Megaphone.Handover;

/// <summary>A set of descriptors: a bit for each number up to the highest. Not thread-safe.</summary>
internal sealed class DescriptorSet
{
    private const int Bits = 64;

    /// <summary>More than a kernel allows, so that no number in damaged data takes much memory.</summary>
    private const int Most = 1 << 26;

    private ulong[] _words = new ulong[16];

    /// <summary>Those of them that an exec would close, unless it is told not to.</summary>
    public List<int> ClosedOnExec { get; } = [];

    /// <summary>Adds one.</summary>
    /// <returns>False when it is in there, or no descriptor.</returns>
    public bool TryAdd(int descriptor)
    {
        if (descriptor is < 0 or >= Most) return false;
        int word = descriptor / Bits;
        if (word >= _words.Length) Array.Resize(ref _words, Math.Max(2 * _words.Length, word + 1));
        ulong bit = 1UL << (descriptor % Bits);
        if ((_words[word] & bit) != 0) return false;
        _words[word] |= bit;
        return true;
    }

    /// <summary>The ranges from a number on that hold none, the last of which has no end.</summary>
    public IEnumerable<(uint First, uint Last)> Gaps(int from)
    {
        uint first = (uint)from;
        for (int descriptor = from; descriptor < _words.Length * Bits; descriptor++)
        {
            if (_words[descriptor / Bits] == ulong.MaxValue && descriptor % Bits == 0)
            {
                if (first < descriptor) yield return (first, (uint)descriptor - 1);
                descriptor += Bits - 1;
                first = (uint)descriptor + 1;
                continue;
            }

            if ((_words[descriptor / Bits] >> (descriptor % Bits) & 1) == 0) continue;
            if (first < descriptor) yield return (first, (uint)descriptor - 1);
            first = (uint)descriptor + 1;
        }

        yield return (first, uint.MaxValue);
    }
}
