namespace Megaphone.Fuzz;

/// <summary>
/// A stream and how it arrives. An input begins with a line of which each byte is the length of a part, counted from the digit 0: <c>1</c>
/// means byte by byte, <c>0A</c> nothing and then 17 bytes, over and over. The rest is the stream. Without a line, or
/// with an empty one, it arrives whole.
/// </summary>
/// <param name="Lengths">How long the parts are; not all of them 0.</param>
/// <param name="Bytes">The stream.</param>
internal sealed record CutStream(int[] Lengths, byte[] Bytes)
{
    /// <summary>The stream in one part.</summary>
    public static readonly int[] Whole = [int.MaxValue];

    /// <summary>The stream byte by byte.</summary>
    public static readonly int[] Single = [1];

    /// <summary>Every input is one.</summary>
    public static CutStream Parse(byte[] input)
    {
        int line = input.AsSpan().IndexOf((byte)'\n');
        if (line <= 0) return new CutStream(Whole, input[(line + 1)..]);
        int[] lengths = [.. input[..line].Select(value => (int)(byte)(value - '0'))];
        return new CutStream(lengths.Any(length => length > 0) ? lengths : Single, input[(line + 1)..]);
    }

    /// <summary>Gives a stream part by part to a reader, until it wants no more.</summary>
    /// <param name="bytes">The stream.</param>
    /// <param name="lengths">How long the parts are, over and over.</param>
    /// <param name="read">Takes a part; false when it wants no more.</param>
    public static void Feed(byte[] bytes, int[] lengths, Func<ArraySegment<byte>, bool> read)
    {
        int at = 0;
        for (int i = 0; at < bytes.Length; i++)
        {
            int length = Math.Min(lengths[i % lengths.Length], bytes.Length - at);
            if (!read(new ArraySegment<byte>(bytes, at, length))) return;
            at += length;
        }
    }
}
