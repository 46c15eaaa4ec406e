namespace Megaphone.EndToEnd.Support;

/// <summary>Headers that are malformed for whoever receives packets of at most 1 MiB, each with what is wrong about it.</summary>
public static class MalformedHeaders
{
    /// <summary>The fault, and the header.</summary>
    public static TheoryData<string, string> All { get; } = new()
    {
        { "no digit in the length", "00000000x1|00000000000000000007|" },
        { "a sign is no digit", "+000000041|00000000000000000007|" },
        { "a space is no digit", "        41|00000000000000000007|" },
        { "length below the header", "0000000031|00000000000000000007|" },
        { "length zero", "0000000000|00000000000000000007|" },
        { "length above the limit", "0001048577|00000000000000000007|" },
        { "the largest length there is", "9999999999|00000000000000000007|" },
        { "wrong separator after the length", "0000000041:00000000000000000007|" },
        { "no digit in the id", "0000000041|0000000000000000000x|" },
        { "id above 2^64-1", "0000000041|18446744073709551616|" },
        { "id of twenty nines", "0000000041|99999999999999999999|" },
        { "wrong separator after the id", "0000000041|00000000000000000007 " },
        { "something else altogether", "GET / HTTP/1.1\r\nHost: hub\r\n\r\n" },
    };
}
