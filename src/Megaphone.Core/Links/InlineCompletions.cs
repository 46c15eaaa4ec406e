namespace Megaphone.Links;

/// <summary>Where the runtime handles what sockets have brought: on the thread that waited for it.</summary>
internal static class InlineCompletions
{
    private const string Variable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>
    /// Switches it on: links' completions are short and never block, so that to hand each to another thread would cost more than
    /// it does. What the operator has set stays.
    /// </summary>
    /// <remarks>To be called before the first socket is made, which is when the runtime reads it.</remarks>
    public static void SwitchOn()
    {
        if (Environment.GetEnvironmentVariable(Variable) is null) Environment.SetEnvironmentVariable(Variable, "1");
    }
}
