namespace Megaphone.Tests.Fuzz;

/// <summary>Inputs that are nearly those of a corpus. The same corpus and seed give the same inputs.</summary>
internal sealed class Mutator(byte[][] corpus, int seed)
{
    private const int MostChanges = 4;

    private readonly Random _random = new(seed);

    /// <summary>The next input.</summary>
    public byte[] Next()
    {
        List<byte> input = [.. AnyOf(corpus)];
        for (int changes = 1 + _random.Next(MostChanges); changes > 0; changes--) Change(input);
        return [.. input];
    }

    private void Change(List<byte> input)
    {
        int at = _random.Next(input.Count + 1);
        int behind = input.Count - at;
        switch (_random.Next(6))
        {
            case 0 when behind > 0:
                input[at] = (byte)_random.Next(256);
                break;
            case 1 when behind > 0:
                // Digits, brackets and quotes have near neighbours that mean something else.
                input[at] = (byte)(input[at] + _random.Next(-2, 3));
                break;
            case 2 when behind > 0:
                input.RemoveRange(at, 1 + _random.Next(Math.Min(behind, 16)));
                break;
            case 3 when behind > 0:
                input.InsertRange(at, input.GetRange(at, 1 + _random.Next(Math.Min(behind, 64))));
                break;
            case 4:
                byte[] other = AnyOf(corpus);
                int from = _random.Next(other.Length + 1);
                input.InsertRange(at, other[from..(from + _random.Next(other.Length - from + 1))]);
                break;
            default:
                input.Insert(at, (byte)_random.Next(256));
                break;
        }
    }

    private byte[] AnyOf(byte[][] inputs) => inputs[_random.Next(inputs.Length)];
}
