namespace Megaphone.Links;

/// <summary>Makes the runtime complete socket operations on the thread that waits for events.</summary>
internal static class InlineCompletions
{
    private const string Variable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>
    /// Links' completions are short and never block: handing each to another thread would cost more than it takes.
    /// A value that the operator has set stays.
    /// </summary>
    /// <remarks>To be called before the first socket is made, which is when the runtime reads it.</remarks>
    public static void Enable()
    {
        if (Environment.GetEnvironmentVariable(Variable) is null) Environment.SetEnvironmentVariable(Variable, "1");
    }
}
