using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Megaphone.Bench;

/// <summary>Numbered messages between random pairs of users, and the fate of each.</summary>
/// <remarks>
/// <para>The users form a ring in random order; each writes to the next. Or a few of them write, each to some of the others. The
/// number of a message determines its pair, so that one bit is all that is kept for it: whether it has arrived. As a user
/// receives from one other user only, and a server must keep the order between two users (RFC 6120, section 10.1), a number
/// below the last one is out of order.</para>
/// <para>A latency counts from when the message was due, whether or not it could be sent then. Thread-safe for
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
    private readonly Schedule _schedule;
    private long _count;
    private long _duplicates;
    private long _outOfOrder;
    private long _unexpected;
    private long _refused;

    /// <summary>Plans the messages.</summary>
    /// <param name="users">The indices of the sessions that take part; shuffled.</param>
    /// <param name="count">How many messages there are to be.</param>
    /// <param name="schedule">When each is due.</param>
    /// <param name="bytes">The length of each message's text.</param>
    /// <param name="domain">The users' domain; null: an echo answers, and each receives what it sends.</param>
    /// <param name="senders">How many of the users write, to the others; 0, or as many as there are: all of them.</param>
    public MessageTraffic(int[] users, int count, Schedule schedule, int bytes, string? domain, int senders = 0)
    {
        Random.Shared.Shuffle(users);
        _users = users;
        _senders = senders < users.Length ? senders : 0;
        _arrived = new ulong[(count + 63) / 64];
        _text = new byte[bytes];
        _text.AsSpan().Fill((byte)'x');
        _domain = domain ?? "";
        _echoed = domain is null;
        _schedule = schedule;
        Planned = count;
    }

    /// <summary>How many messages there are to be.</summary>
    public int Planned { get; }

    /// <summary>The most bytes of a message.</summary>
    public int MaxBytes => _text.Length + _domain.Length + BenchSession.MaxLocalBytes + 100;

    /// <summary>Different messages that have arrived.</summary>
    public long Arrived => Volatile.Read(ref _count);

    /// <summary>Messages that arrived again.</summary>
    public long Duplicates => Volatile.Read(ref _duplicates);

    /// <summary>Messages that arrived after a later one from the same user.</summary>
    public long OutOfOrder => Volatile.Read(ref _outOfOrder);

    /// <summary>Messages that arrived at the wrong user, or were never sent.</summary>
    public long Unexpected => Volatile.Read(ref _unexpected);

    /// <summary>Messages that the server sent back as errors.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>The latencies of messages, each from when it was due to when it arrived.</summary>
    public LatencyHistogram Latencies { get; } = new();

    /// <summary>When a message is due.</summary>
    public long Due(int number) => _schedule.Due(number);

    /// <summary>The index of the session that sends a message.</summary>
    public int SenderOf(int number)
    {
        int place = Place(number);
        return _users[_senders > 0 ? place % _senders : place];
    }

    /// <summary>Writes a message.</summary>
    /// <param name="number">0 to <see cref="Planned"/> - 1.</param>
    /// <param name="sessions">The sessions, for the receiver's address.</param>
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

    /// <summary>Handles a message that a session has received.</summary>
    /// <param name="index">The session's index.</param>
    /// <param name="last">The session's <see cref="BenchSession.LastMessage"/>.</param>
    /// <param name="message">The message.</param>
    /// <returns>Null; or the condition of the error that the message is.</returns>
    public string? Receive(int index, ref int last, ReadOnlySpan<byte> message)
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
            Interlocked.Increment(ref _unexpected);
            return null;
        }

        ulong bit = 1UL << (number & 63);
        if ((Interlocked.Or(ref _arrived[number >> 6], bit) & bit) != 0)
        {
            Interlocked.Increment(ref _duplicates);
            return null;
        }

        if (number < last) Interlocked.Increment(ref _outOfOrder);
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

    /// <summary>
    /// The receiver's place behind the senders', if only a few write: the receivers take turns, so that each has been idle for as long
    /// as possible. Else the sender's place in the ring: the number's bits, well mixed (the finaliser of MurmurHash3).
    /// </summary>
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
