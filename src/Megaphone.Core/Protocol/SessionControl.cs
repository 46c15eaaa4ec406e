using System.Buffers;
using System.Globalization;
using System.Text;

namespace Megaphone.Protocol;

/// <summary>
/// A control message about one session, to be sent: pause, resume or reset (section 4 of the link protocol). Unlike
/// <see cref="ControlMessage"/> it allocates nothing: a million sessions may end at the same time.
/// </summary>
internal readonly struct SessionControl
{
    /// <summary>The longest message, in bytes.</summary>
    public const int MaxBytes = 128;

    private const int MaxReason = 64;
    private static readonly SearchValues<char> OfReason = SearchValues.Create("abcdefghijklmnopqrstuvwxyz_");

    private readonly ControlOp _op;
    private readonly ulong _id;
    private readonly string? _reason;

    private SessionControl(ControlOp op, ulong id, string? reason = null) => (_op, _id, _reason) = (op, id, reason);

    /// <summary>Asks the other end to stop sending data on <paramref name="id"/>.</summary>
    public static SessionControl Pause(ulong id) => new(ControlOp.Pause, id);

    /// <summary>Asks the other end to resume sending data on <paramref name="id"/>.</summary>
    public static SessionControl Resume(ulong id) => new(ControlOp.Resume, id);

    /// <summary>Aborts a session.</summary>
    /// <param name="id">The session's connection id.</param>
    /// <param name="reason">The reason: lower-case letters and underscores, at most 64.</param>
    /// <exception cref="ArgumentException">The reason has other characters, or too many.</exception>
    public static SessionControl Reset(ulong id, string reason) =>
        reason.Length <= MaxReason && !reason.AsSpan().ContainsAnyExcept(OfReason)
            ? new(ControlOp.Reset, id, reason)
            : throw new ArgumentException($"\"{reason}\" is not a word of at most {MaxReason} lower-case letters and underscores.", nameof(reason));

    /// <summary>Writes the message as the content of a packet.</summary>
    /// <param name="into"><see cref="MaxBytes"/> or more.</param>
    /// <returns>The number of bytes written.</returns>
    public int Format(Span<byte> into)
    {
        int count = Append(into, 0, "{\"op\":\"");
        count = Append(into, count, ControlNames.Of(_op));
        count = Append(into, count, "\",\"id\":\"");
        _ = _id.TryFormat(into[count..], out int digits, default, CultureInfo.InvariantCulture);
        count += digits;
        if (_reason is not null)
        {
            count = Append(into, count, "\",\"reason\":\"");
            count = Append(into, count, _reason);
        }

        return Append(into, count, "\"}");
    }

    private static int Append(Span<byte> into, int at, string ascii) => at + Encoding.ASCII.GetBytes(ascii, into[at..]);
}
