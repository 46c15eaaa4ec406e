using System.Globalization;
using System.Text.Json;

namespace Megaphone.Protocol;

/// <summary>
/// The members of a received control message, taken out one by one by the op that knows them. A member that is not
/// there or null reads as null. The first thing that is wrong is kept as <see cref="Problem"/>; reading may go on after
/// it.
/// </summary>
internal sealed class ControlMembers(Dictionary<string, JsonElement> members)
{
    private string _op = "";

    /// <summary>The first thing that was wrong with a member, as one line; null while all are right.</summary>
    public string? Problem { get; private set; }

    /// <summary>How many members nobody has asked for.</summary>
    public int Left => members.Count;

    /// <summary>The op; <see cref="ControlOp.Unknown"/> also when there is none, which is a problem.</summary>
    public ControlOp Op()
    {
        if (Text("op") is { } name)
        {
            _op = name;
            return ControlNames.Op(name);
        }

        Problem = "a control message must have a string \"op\"";
        return ControlOp.Unknown;
    }

    /// <summary>A string.</summary>
    public string? Text(string name)
    {
        if (!TryTake(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.String)
        {
            try
            {
                return value.GetString();
            }
            catch (InvalidOperationException)
            {
                // An escape such as \ud800 names half a character, which shows only when the text is asked for.
            }
        }

        Wrong(name, "a string");
        return null;
    }

    /// <summary>
    /// An integer of at least <paramref name="min"/>; above the range of an int it reads as the range's end.
    /// </summary>
    public int? Integer(string name, int min, bool required = false)
    {
        if (!TryTake(name, out JsonElement value))
        {
            if (required) Missing(name);
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= min)
            return (int)Math.Min(number, int.MaxValue);
        Wrong(name, $"an integer of at least {min}");
        return null;
    }

    /// <summary>
    /// A number of seconds, which may have a fraction; above the range of an int it reads as the range's end.
    /// </summary>
    public TimeSpan? Seconds(string name, bool zeroAllowed)
    {
        if (!TryTake(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double seconds) && seconds >= 0)
        {
            TimeSpan time = TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue));
            if (zeroAllowed || time > TimeSpan.Zero) return time;
        }

        Wrong(name, zeroAllowed ? "a number of seconds, 0 or more" : "a number of seconds above 0");
        return null;
    }

    /// <summary>
    /// A client's connection id, which has to be there: a decimal string, because JSON numbers stop at 2^53.
    /// </summary>
    public ulong? Id(string name)
    {
        if (!members.ContainsKey(name)) Missing(name);
        // The check for digits is not idle: TryParse takes "7\0" for 7.
        if (Text(name) is { } text
            && !text.AsSpan().ContainsAnyExceptInRange('0', '9')
            && ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong id)
            && id != PacketHeader.ControlId)
            return id;
        Wrong(name, $"a string of decimal digits, 1 to {ulong.MaxValue}");
        return null;
    }

    /// <summary>The name of a framing.</summary>
    public LinkFraming? Framing(string name)
    {
        if (Text(name) is not { } text) return null;
        LinkFraming? framing = ControlNames.Framing(text);
        if (framing is null) Wrong(name, "\"bytes\" or \"stanza\"");
        return framing;
    }

    /// <summary>Any JSON value, null too, as the text that it came in; null when it is not there.</summary>
    public string? Raw(string name) => members.Remove(name, out JsonElement value) ? value.GetRawText() : null;

    private bool TryTake(string name, out JsonElement value) =>
        members.Remove(name, out value) && value.ValueKind != JsonValueKind.Null;

    private void Missing(string name) => Problem ??= $"a {_op} must have \"{name}\"";

    private void Wrong(string name, string right) => Problem ??= $"\"{name}\" of a {_op} must be {right}";
}
