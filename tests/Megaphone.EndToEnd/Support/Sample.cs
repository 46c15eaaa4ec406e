using System.Security.Cryptography;

namespace Megaphone.EndToEnd.Support;

/// <summary>Data for tests: random, but the same in every run.</summary>
internal static class Sample
{
    /// <summary>So many bytes.</summary>
    public static byte[] Bytes(int count, int seed = 1)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Asserts that two long runs of bytes are the same, without printing them.</summary>
    public static void AssertSame(byte[] expected, byte[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.Equal(Convert.ToHexString(SHA256.HashData(expected)), Convert.ToHexString(SHA256.HashData(actual)));
    }
}
