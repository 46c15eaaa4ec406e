using System.Diagnostics.CodeAnalysis;

namespace Megaphone.Fuzz;

/// <summary>What a target asserts.</summary>
internal static class Property
{
    /// <summary>Throws unless a property holds.</summary>
    /// <param name="holds">Whether it does.</param>
    /// <param name="words">The property, as a sentence that is true when it holds.</param>
    /// <exception cref="PropertyViolation">It does not.</exception>
    public static void Holds([DoesNotReturnIf(false)] bool holds, string words)
    {
        if (!holds) throw new PropertyViolation($"This does not hold: {words}");
    }

    /// <summary>Throws unless a text that goes to a log is one line of printable ASCII.</summary>
    /// <exception cref="PropertyViolation">It is not.</exception>
    public static void IsOneLine(string text)
    {
        bool isLine = text.Length is > 0 and < 512 && !text.AsSpan().ContainsAnyExceptInRange(' ', '~');
        Holds(isLine, $"a line for the log is short and printable: {text}");
    }
}
