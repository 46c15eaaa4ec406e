namespace Megaphone.Protocol;

/// <summary>
/// The names in control messages (section 4 of the link protocol) of the values of enums.
/// </summary>
internal static class ControlNames
{
    private static readonly string[] Ops =
        [
            "unknown", "hello", "welcome", "refuse", "ping", "pong", "pause", "resume", "reset", "drain", "ack", "close", "gone", "loggedIn",
        ];

    private static readonly string[] Framings = ["bytes", "stanza"];

    /// <summary>The name of an op.</summary>
    public static string Of(ControlOp op) => Ops[(int)op];

    /// <summary>The name of a framing.</summary>
    public static string Of(LinkFraming framing) => Framings[(int)framing];

    /// <summary>
    /// The op with this name, case-sensitive; <see cref="ControlOp.Unknown"/> when there is none.
    /// </summary>
    public static ControlOp Op(string name) => (ControlOp)Math.Max(0, Array.IndexOf(Ops, name));

    /// <summary>The framing with this name, case-sensitive; null when there is none.</summary>
    public static LinkFraming? Framing(string name) =>
        Array.IndexOf(Framings, name) is >= 0 and int index ? (LinkFraming)index : null;
}
