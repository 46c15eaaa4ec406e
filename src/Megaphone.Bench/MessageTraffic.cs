using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Megaphone.Bench;

/// <summary>Numbered messages between random pairs of users, and what became of each.</summary>
/// <remarks>
/// <para>The users stand in a circle in random order; each one writes to the next. Or a few of them write, each to some of the
/// others. A message's pair is chosen by its number, so that nothing has to be remembered of it but one bit: whether it has
/// arrived. As a user hears from one other only, and a server must keep the order between two users (RFC 6120, section 10.1), a
/// number below the last one is out of place.</para>
/// <para>A latency counts from the time at which the message was to be sent, whether or not it could be. Thread-safe for
/// arrivals.</para>
/// </remarks>
internal sealed class MessageTraffic
{
    private readonly int[] _users;
    private readonly int _senders;
    private readonly ulong[] _arrived;
    private readonly byte[] _text;
    private readonly string _domain;
    private readonly bool _echoed;
    private readonly Pace _pace;
    private long _count;
    private long _doubled;
    private long _misplaced;
    private long _stray;
    private long _refused;

    /// <summary>Makes the plan.</summary>
    /// <param name="users">The sessions that take part; brought into another order.</param>
    /// <param name="count">How many messages there will be.</param>
    /// <param name="pace">When each is to be sent.</param>
    /// <param name="bytes">The length of each message's text.</param>
    /// <param name="domain">The users' domain; null: what they send comes back to themselves.</param>
    /// <param name="senders">How many of the users write, to the others; 0, or as many as there are: everybody.</param>
    public MessageTraffic(int[] users, int count, Pace pace, int bytes, string? domain, int senders = 0)
    {
        Random.Shared.Shuffle(users);
        _users = users;
        _senders = senders < users.Length ? senders : 0;
        _arrived = new ulong[(count + 63) / 64];
        _text = new byte[bytes];
        _text.AsSpan().Fill((byte)'x');
        _domain = domain ?? "";
        _echoed = domain is null;
        _pace = pace;
        Planned = count;
    }

    /// <summary>How many messages there are to be.</summary>
    public int Planned { get; }

    /// <summary>Room that any message needs.</summary>
    public int MaxBytes => _text.Length + _domain.Length + BenchSession.MaxLocalBytes + 100;

    /// <summary>Different messages that have arrived.</summary>
    public long Arrived => Volatile.Read(ref _count);

    /// <summary>Messages that arrived once more.</summary>
    public long Doubled => Volatile.Read(ref _doubled);

    /// <summary>Messages that arrived after a later one from the same user.</summary>
    public long Misplaced => Volatile.Read(ref _misplaced);

    /// <summary>Messages that arrived somewhere else, or were never sent.</summary>
    public long Stray => Volatile.Read(ref _stray);

    /// <summary>Messages that the server sent back as errors.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>From when a message was to be sent to when it arrived.</summary>
    public LatencyHistogram Latencies { get; } = new();

    /// <summary>When a message is to be sent.</summary>
    public long Due(int number) => _pace.Due(number);

    /// <summary>Which session sends a message.</summary>
    public int SenderOf(int number)
    {
        int place = Place(number);
        return _users[_senders > 0 ? place % _senders : place];
    }

    /// <summary>Writes a message.</summary>
    /// <param name="number">0 to <see cref="Planned"/> - 1.</param>
    /// <param name="sessions">Where the receiver's address is.</param>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <returns>The bytes written.</returns>
    public int Write(int number, SessionStore sessions, Span<byte> destination)
    {
        int at = 0;
        Append(destination, ref at, "<message"u8);
        if (!_echoed)
        {
            Append(destination, ref at, " to='"u8);
            Append(destination, ref at, sessions[ReceiverOf(number)].Local);
            Append(destination, ref at, "@"u8);
            at += Encoding.UTF8.GetBytes(_domain, destination[at..]);
            Append(destination, ref at, "'"u8);
        }

        Append(destination, ref at, " type='chat' id='"u8);
        _ = number.TryFormat(destination[at..], out int digits, provider: CultureInfo.InvariantCulture);
        at += digits;
        Append(destination, ref at, "'><body>"u8);
        Append(destination, ref at, _text);
        Append(destination, ref at, "</body></message>"u8);
        return at;
    }

    /// <summary>A message came to a session.</summary>
    /// <param name="index">The session's place.</param>
    /// <param name="last">What that session remembers: <see cref="BenchSession.LastMessage"/>.</param>
    /// <param name="message">The message.</param>
    /// <returns>Null; or the condition of the error that it is.</returns>
    public string? Take(int index, ref int last, ReadOnlySpan<byte> message)
    {
        if (XmlPiece.TryAttribute(message, "type"u8, out ReadOnlySpan<byte> type) && type.SequenceEqual("error"u8))
        {
            Interlocked.Increment(ref _refused);
            return XmlPiece.Condition(message, "error"u8);
        }

        bool known = XmlPiece.TryAttribute(message, "id"u8, out ReadOnlySpan<byte> id)
            & Utf8Parser.TryParse(id, out int number, out int digits) && digits == id.Length
            && number >= 0 && number < Planned && ReceiverOf(number) == index;
        if (!known)
        {
            Interlocked.Increment(ref _stray);
            return null;
        }

        ulong bit = 1UL << (number & 63);
        if ((Interlocked.Or(ref _arrived[number >> 6], bit) & bit) != 0)
        {
            Interlocked.Increment(ref _doubled);
            return null;
        }

        if (number < last) Interlocked.Increment(ref _misplaced);
        last = Math.Max(last, number + 1);
        Latencies.Add(Stopwatch.GetTimestamp() - Due(number));
        Interlocked.Increment(ref _count);
        return null;
    }

    private static void Append(Span<byte> destination, ref int at, ReadOnlySpan<byte> text)
    {
        text.CopyTo(destination[at..]);
        at += text.Length;
    }

    private int ReceiverOf(int number)
    {
        if (_echoed) return SenderOf(number);
        int place = Place(number);
        return _users[_senders > 0 ? place : (place + 1) % _users.Length];
    }

    /// <summary>If only a few write, the receiver's place behind theirs: each has its turn, so that it has been idle for as long as
    /// can be. Else the sender's, which is the number's bits well mixed (the finaliser of MurmurHash3).</summary>
    private int Place(int number)
    {
        if (_senders > 0) return _senders + number % (_users.Length - _senders);
        uint mixed = (uint)number;
        mixed = (mixed ^ (mixed >> 16)) * 0x85EBCA6B;
        mixed = (mixed ^ (mixed >> 13)) * 0xC2B2AE35;
        mixed ^= mixed >> 16;
        return (int)(((ulong)mixed * (uint)_users.Length) >> 32);
    }
}
