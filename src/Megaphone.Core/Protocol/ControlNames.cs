namespace Megaphone.Protocol;

/// <summary>
/// The words that stand in control messages (section 4 of the link protocol) for what is an enum here.
/// </summary>
internal static class ControlNames
{
    private static readonly string[] Ops =
        ["unknown", "hello", "welcome", "refuse", "ping", "pong", "pause", "resume", "reset", "drain"];

    private static readonly string[] Framings = ["bytes", "stanza"];

    /// <summary>The word for an op.</summary>
    public static string Of(ControlOp op) => Ops[(int)op];

    /// <summary>The word for a framing.</summary>
    public static string Of(LinkFraming framing) => Framings[(int)framing];

    /// <summary>
    /// The op that a word stands for, letter for letter; <see cref="ControlOp.Unknown"/> when it stands for none.
    /// </summary>
    public static ControlOp Op(string name) => (ControlOp)Math.Max(0, Array.IndexOf(Ops, name));

    /// <summary>The framing that a word stands for, letter for letter; null when it stands for none.</summary>
    public static LinkFraming? Framing(string name) =>
        Array.IndexOf(Framings, name) is >= 0 and int index ? (LinkFraming)index : null;
}
