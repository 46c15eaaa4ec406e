namespace Megaphone.Web;

/// <summary>Finds the end of the head of a connection's first request, and splits its lines. No I/O; allocates nothing.</summary>
/// <remarks>
/// <para>RFC 9112, sections 2 to 5, without what it lets a server be generous with: lines end with CR LF, none is folded, and nothing is
/// between a field's name and its colon. Generosity is what lets two readers of one request differ.</para>
/// <code>
/// head  = 'GET' SP path [ '?' query ] SP 'HTTP/1.1' CRLF ( name ':' value CRLF )* CRLF
/// </code>
/// </remarks>
internal ref struct RequestHead
{
    /// <summary>The longest head that is read, in bytes.</summary>
    public const int MaxBytes = 8 << 10;

    private const int MostFields = 100;

    private ReadOnlySpan<byte> _rest;
    private int _fields;

    private RequestHead(ReadOnlySpan<byte> fields) => _rest = fields;

    /// <summary>The current field's name.</summary>
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>The current field's value, without white space around it.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>Whether a line is not as it must be: there is no next field.</summary>
    public bool IsMalformed { get; private set; }

    private static ReadOnlySpan<byte> Get => "GET "u8;

    private static ReadOnlySpan<byte> LineEnd => "\r\n"u8;

    /// <summary>Examines what has arrived of a head.</summary>
    /// <param name="received">All that has arrived, from the connection's first byte on.</param>
    /// <param name="examined">How much of it an earlier call has had.</param>
    /// <param name="path">The path of the WebSocket, as it must be written.</param>
    /// <param name="length">The length of the head, with <see cref="HeadProgress.Whole"/>.</param>
    public static HeadProgress Examine(ReadOnlySpan<byte> received, int examined, ReadOnlySpan<byte> path, out int length)
    {
        length = 0;
        int begin = Get.Length + path.Length;
        if (examined <= begin)
        {
            // Known as soon as a byte differs: no one else's request waits here for the end of its head.
            if (!IsBeginningOf(received[..Math.Min(received.Length, Get.Length)], Get)
                || (received.Length > Get.Length && !IsBeginningOf(received[Get.Length..Math.Min(received.Length, begin)], path))
                || (received.Length > begin && received[begin] is not ((byte)' ' or (byte)'?')))
            {
                return HeadProgress.Other;
            }
        }

        ReadOnlySpan<byte> allowed = received[..Math.Min(received.Length, MaxBytes)];
        for (int at = examined; at < allowed.Length; at++)
        {
            int feed = allowed[at..].IndexOf((byte)'\n');
            if (feed < 0) break;
            at += feed;
            if (at == 0 || allowed[at - 1] != '\r') return HeadProgress.Malformed;
            if (at < 3 || allowed[at - 2] != '\n') continue;
            length = at + 1;
            return HeadProgress.Whole;
        }

        return received.Length >= MaxBytes ? HeadProgress.TooLong : HeadProgress.Incomplete;
    }

    /// <summary>Splits a whole head.</summary>
    /// <param name="head">From the first byte to the empty line.</param>
    /// <param name="fields">Its fields, before the first.</param>
    /// <returns>False when its first line is not that of HTTP/1.1.</returns>
    public static bool TryRead(ReadOnlySpan<byte> head, out RequestHead fields)
    {
        int end = head.IndexOf(LineEnd);
        ReadOnlySpan<byte> line = head[..end];
        ReadOnlySpan<byte> behind = line[Get.Length..];
        int target = behind.IndexOf((byte)' ');
        fields = new RequestHead(head[(end + LineEnd.Length)..]);
        return target > 0 && !behind[..target].ContainsAnyExceptInRange((byte)'!', (byte)'~') && behind[(target + 1)..].SequenceEqual("HTTP/1.1"u8);
    }

    /// <summary>Goes to the next field.</summary>
    /// <returns>False when there is none, or when it is malformed.</returns>
    public bool Next()
    {
        int end = _rest.IndexOf(LineEnd);
        if (end == 0 || IsMalformed) return false;
        ReadOnlySpan<byte> line = _rest[..end];
        int colon = line.IndexOf((byte)':');
        IsMalformed = colon < 0 || !HttpBytes.IsToken(line[..colon]) || !HttpBytes.IsValue(line[(colon + 1)..]) || ++_fields > MostFields;
        if (IsMalformed) return false;
        Name = line[..colon];
        Value = line[(colon + 1)..].Trim(HttpBytes.WhiteSpace);
        _rest = _rest[(end + LineEnd.Length)..];
        return true;
    }

    private static bool IsBeginningOf(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> whole) => whole.StartsWith(bytes);
}
