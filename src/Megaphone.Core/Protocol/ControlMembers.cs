using System.Globalization;
using System.Text.Json;

namespace Megaphone.Protocol;

/// <summary>
/// The members of a received control message, removed one by one as they are read. A member that is
/// absent or null reads as null. The first invalid member is reported by <see cref="Problem"/>; reading may continue after
/// it.
/// </summary>
internal sealed class ControlMembers(Dictionary<string, JsonElement> members)
{
    private string _op = "";

    /// <summary>The first problem with a member, as one line; null while all are valid.</summary>
    public string? Problem { get; private set; }

    /// <summary>How many members have not been read.</summary>
    public int UnreadCount => members.Count;

    /// <summary>Reads the op; <see cref="ControlOp.Unknown"/> also when it is missing, which is a problem.</summary>
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

    /// <summary>Reads a string.</summary>
    public string? Text(string name)
    {
        if (!TryRemove(name, out JsonElement value)) return null;
        if (TextOf(value) is { } text) return text;
        AddInvalid(name, "a string");
        return null;
    }

    /// <summary>
    /// Reads an integer of at least <paramref name="min"/>; above the range of an int it reads as the largest int.
    /// </summary>
    public int? Integer(string name, int min, bool required = false)
    {
        if (!TryRemove(name, out JsonElement value))
        {
            if (required) AddMissing(name);
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= min)
            return (int)Math.Min(number, int.MaxValue);
        AddInvalid(name, $"an integer of at least {min}");
        return null;
    }

    /// <summary>
    /// Reads a number of seconds, which may have a fraction; above the range of an int it reads as the largest int.
    /// </summary>
    public TimeSpan? Seconds(string name, bool zeroAllowed)
    {
        if (!TryRemove(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double seconds) && seconds >= 0)
        {
            TimeSpan time = TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue));
            if (zeroAllowed || time > TimeSpan.Zero) return time;
        }

        AddInvalid(name, zeroAllowed ? "a number of seconds, 0 or more" : "a number of seconds above 0");
        return null;
    }

    /// <summary>
    /// Reads a client's connection id, which is required: a decimal string, because JSON numbers are exact up to 2^53 only.
    /// </summary>
    public ulong? Id(string name)
    {
        if (!members.ContainsKey(name)) AddMissing(name);
        if (Text(name) is { } text && TryParseId(text, out ulong id)) return id;
        AddInvalid(name, $"a string of decimal digits, 1 to {ulong.MaxValue}");
        return null;
    }

    /// <summary>Reads a list of clients' connection ids, each as <see cref="Id"/> reads one; required.</summary>
    public IReadOnlyList<ulong>? Ids(string name)
    {
        if (!TryRemove(name, out JsonElement value))
        {
            AddMissing(name);
            return null;
        }

        List<ulong> ids = [];
        bool isValid = value.ValueKind == JsonValueKind.Array;
        if (isValid)
        {
            foreach (JsonElement item in value.EnumerateArray())
            {
                isValid &= TryParseId(TextOf(item) ?? "", out ulong id);
                ids.Add(id);
            }
        }

        if (isValid) return ids;
        AddInvalid(name, $"a list of strings of decimal digits, 1 to {ulong.MaxValue}");
        return null;
    }

    /// <summary>Reads true or false.</summary>
    public bool? Flag(string name)
    {
        if (!TryRemove(name, out JsonElement value)) return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        AddInvalid(name, "true or false");
        return null;
    }

    /// <summary>Reads a number of bytes: a decimal string, as an id is.</summary>
    public long? Position(string name, bool required = false)
    {
        bool isPresent = members.ContainsKey(name);
        if (!isPresent && !required) return null;
        if (!isPresent) AddMissing(name);
        if (Text(name) is { } text
            && !text.AsSpan().ContainsAnyExceptInRange('0', '9')
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long position))
            return position;
        AddInvalid(name, $"a string of decimal digits, 0 to {long.MaxValue}");
        return null;
    }

    /// <summary>Reads the offer of resumption, or the request for it.</summary>
    public ControlResume? Resume(string name)
    {
        if (!TryRemove(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Object)
        {
            AddInvalid(name, "an object");
            return null;
        }

        Dictionary<string, JsonElement> inner = [];
        foreach (JsonProperty member in value.EnumerateObject()) inner[member.Name] = member.Value;
        ControlMembers read = new(inner) { _op = $"{name} of a {_op}" };
        ControlResume resume = new()
        {
            Instance = read.ShortText("instance"),
            Slot = read.Integer("slot", 0),
            Token = read.ShortText("token"),
            Received = read.Position("received"),
            Window = read.Integer("window", 1),
            Timeout = read.Seconds("timeout", zeroAllowed: false),
            Ignored = read.UnreadCount,
        };
        Problem ??= read.Problem;
        return resume;
    }

    /// <summary>Reads the name of a framing.</summary>
    public LinkFraming? Framing(string name)
    {
        if (Text(name) is not { } text) return null;
        LinkFraming? framing = ControlNames.Framing(text);
        if (framing is null) AddInvalid(name, "\"bytes\" or \"stanza\"");
        return framing;
    }

    /// <summary>Reads any JSON value, null included, as its original text; null when it is absent.</summary>
    public string? Raw(string name) => members.Remove(name, out JsonElement value) ? value.GetRawText() : null;

    private static string? TextOf(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String) return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // An escape such as \ud800 is half a character, which is found only when the string is decoded.
            return null;
        }
    }

    /// <summary>The check for digits is needed: TryParse accepts "7\0" as 7.</summary>
    private static bool TryParseId(string text, out ulong id)
    {
        id = 0;
        return !text.AsSpan().ContainsAnyExceptInRange('0', '9')
            && ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id)
            && id != PacketHeader.ControlId;
    }

    private string? ShortText(string name)
    {
        string? text = Text(name);
        if (text is { Length: > ControlResume.MaxTextLength }) AddInvalid(name, $"a string of at most {ControlResume.MaxTextLength} characters");
        return text;
    }

    private bool TryRemove(string name, out JsonElement value) =>
        members.Remove(name, out value) && value.ValueKind != JsonValueKind.Null;

    private void AddMissing(string name) => Problem ??= $"a {_op} must have \"{name}\"";

    private void AddInvalid(string name, string expected) => Problem ??= $"\"{name}\" of a {_op} must be {expected}";
}
