using System.Text.Json;

namespace Megaphone.Metrics;

/// <summary>How an enum value is written as a metric's label, and as the reason of a <c>reset</c>: in snake case.</summary>
internal static class Label
{
    /// <summary>The label of a value.</summary>
    public static string Of<T>(T value)
        where T : struct, Enum => Names<T>.All[value];

    private static class Names<T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> All =
            Enum.GetValues<T>().ToDictionary(value => value, value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()));
    }
}
