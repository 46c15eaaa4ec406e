using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Unicode;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>Many XMPP clients: how they log in and answer, whatever carries their streams.</summary>
/// <remarks>Thread-safe, if what one session receives comes from one thread at a time.</remarks>
internal sealed class XmppClients(LoginMachine machine, SessionStore sessions, ProblemCounts problems)
{
    /// <summary>The longest piece that a server may send.</summary>
    private const int MaxPieceBytes = 1 << 20;

    /// <summary>For pieces that arrive in parts.</summary>
    private const long PieceMemoryBytes = 256L << 20;

    private static readonly double TenMicroseconds = Stopwatch.Frequency / 100_000.0;

    private readonly StreamSplitter _splitter = new(new PieceMemory(PieceMemoryBytes));
    private readonly ConcurrentDictionary<int, ScramExchange> _exchanges = [];
    private readonly long _began = Stopwatch.GetTimestamp();
    private long _opened;
    private long _loggedIn;
    private long _failed;
    private long _online;
    private long _closed;
    private long _otherStanzas;
    private volatile MessageTraffic? _traffic;

    /// <summary>The sessions.</summary>
    public SessionStore Sessions => sessions;

    /// <summary>The run's problems.</summary>
    public ProblemCounts Problems => problems;

    /// <summary>Sessions that were opened.</summary>
    public long Opened => Volatile.Read(ref _opened);

    /// <summary>Sessions whose login was completed.</summary>
    public long LoggedIn => Volatile.Read(ref _loggedIn);

    /// <summary>Sessions that ended before they were logged in.</summary>
    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Logins under way.</summary>
    public long Pending => Opened - LoggedIn - Failed;

    /// <summary>Sessions that are logged in now.</summary>
    public long Online => Volatile.Read(ref _online);

    /// <summary>Sessions that are closed.</summary>
    public long Closed => Volatile.Read(ref _closed);

    /// <summary>Stanzas that arrived and are counted nowhere else: presence, requests, messages of others.</summary>
    public long OtherStanzas => Volatile.Read(ref _otherStanzas);

    /// <summary>The latencies of logins, each from when it was due to when it was completed.</summary>
    public LatencyHistogram Logins { get; } = new();

    /// <summary>The stream header that clients begin with.</summary>
    public ReadOnlySpan<byte> Header => machine.Header;

    /// <summary>Has messages counted there from now on.</summary>
    public void Count(MessageTraffic traffic) => _traffic = traffic;

    /// <summary>Begins a session: its header is to be sent at once.</summary>
    /// <param name="index">Its index.</param>
    /// <param name="scheduled">When that was due, in ticks of <see cref="Stopwatch"/>.</param>
    public void Open(int index, long scheduled)
    {
        ref BenchSession session = ref sessions[index];
        session.BeganAt = (uint)Math.Max(0, (scheduled - _began) / TenMicroseconds);
        session.Phase = SessionPhase.Header;
        Interlocked.Increment(ref _opened);
    }

    /// <summary>Handles what the server has sent to a session.</summary>
    /// <param name="sender">Sends the answers.</param>
    /// <param name="index">The session's index.</param>
    /// <param name="content">Any part of the server's stream; empty: the end of it.</param>
    public void Receive(IReplySender sender, int index, ReadOnlySpan<byte> content)
    {
        ref BenchSession session = ref sessions[index];
        if (session.IsUnknown) return;
        if (content.IsEmpty)
        {
            HandleEnd(sender, index, ref session);
            return;
        }

        while (!session.Stream.IsRefused)
        {
            switch (_splitter.Next(ref session.Stream, MaxPieceBytes, ref content, out ReadOnlySpan<byte> piece, out StreamFault? fault))
            {
                case StreamSplitter.Step.Incomplete:
                    return;
                case StreamSplitter.Step.Refused:
                    Close(sender, index, ref session, $"the server sent what is no XMPP: {fault!.Reason}");
                    return;
                default:
                    HandlePiece(sender, index, ref session, piece);
                    break;
            }
        }
    }

    /// <summary>Ends a session without sending anything.</summary>
    /// <param name="index">Its index.</param>
    /// <param name="problem">The reason; null: it was meant to end.</param>
    public void Lose(int index, string? problem)
    {
        ref BenchSession session = ref sessions[index];
        if (session.IsUnknown) return;
        if (problem is not null) problems.Add(problem);
        Finish(index, ref session);
    }

    /// <summary>Frees what a session holds. It may receive nothing any more.</summary>
    public void Release(int index) => _splitter.Release(ref sessions[index].Stream, MaxPieceBytes);

    private void HandlePiece(IReplySender sender, int index, ref BenchSession session, ReadOnlySpan<byte> piece)
    {
        if (session.Phase == SessionPhase.Closing) return;
        if (XmlPiece.IsClosingTag(piece))
        {
            Close(sender, index, ref session, session.EndRequested ? null : "the server closed a stream");
        }
        else if (XmlPiece.IsStreamError(piece))
        {
            Close(sender, index, ref session, $"stream error: {XmlPiece.Condition(piece, "error"u8)}");
        }
        else if (machine.ManagesStream && session.Phase > SessionPhase.Enabling && TryAcknowledge(sender, index, ref session, piece))
        {
            // It was no stanza.
        }
        else if (session.Phase == SessionPhase.Online)
        {
            HandleStanza(sender, index, ref session, piece);
        }
        else
        {
            HandleLogin(sender, index, ref session, piece);
        }
    }

    /// <summary>
    /// Counts a stanza; or tells the server how many there were, as it has asked (XEP-0198, section 4). What the server has received
    /// needs no attention, as these clients never resume a stream.
    /// </summary>
    /// <returns>False for a stanza.</returns>
    private bool TryAcknowledge(IReplySender sender, int index, ref BenchSession session, ReadOnlySpan<byte> piece)
    {
        const int MaxAnswer = 64;
        ReadOnlySpan<byte> name = XmlPiece.Name(piece);
        if (name.SequenceEqual("a"u8)) return true;
        if (!name.SequenceEqual("r"u8))
        {
            session.Handled++;
            return false;
        }

        Span<byte> answer = stackalloc byte[MaxAnswer];
        Utf8.TryWrite(answer, $"<a xmlns='urn:xmpp:sm:3' h='{session.Handled}'/>", out int length);
        Reply(sender, index, ref session, answer[..length]);
        return true;
    }

    private void HandleLogin(IReplySender sender, int index, ref BenchSession session, ReadOnlySpan<byte> piece)
    {
        Span<byte> reply = stackalloc byte[LoginMachine.MaxReply];
        _exchanges.TryRemove(index, out ScramExchange? exchange);
        string? problem = machine.Handle(ref session, index + 1, ref exchange, piece, reply, out int length);
        if (exchange is not null) _exchanges[index] = exchange;
        if (session.Phase == SessionPhase.Online)
        {
            Interlocked.Increment(ref _online);
            Logins.Add(Stopwatch.GetTimestamp() - _began - (long)(session.BeganAt * TenMicroseconds));
            Interlocked.Increment(ref _loggedIn);
        }

        if (length > 0) Reply(sender, index, ref session, reply[..length]);
        if (problem is not null) Close(sender, index, ref session, problem);
    }

    private void HandleStanza(IReplySender sender, int index, ref BenchSession session, ReadOnlySpan<byte> piece)
    {
        ReadOnlySpan<byte> name = XmlPiece.Name(piece);
        if (name.SequenceEqual("message"u8) && _traffic is { } traffic)
        {
            if (traffic.Receive(index, ref session.LastMessage, piece) is { } condition) problems.Add($"a message came back: {condition}");
            return;
        }

        Interlocked.Increment(ref _otherStanzas);
        if (name.SequenceEqual("iq"u8)) Answer(sender, index, piece);
    }

    /// <summary>
    /// A request must be answered (RFC 6120, section 8.2.3): with an error, which also shows that the client is there.
    /// </summary>
    private void Answer(IReplySender sender, int index, ReadOnlySpan<byte> iq)
    {
        const int LongestAddress = 512;
        bool request = XmlPiece.TryAttribute(iq, "type"u8, out ReadOnlySpan<byte> type)
            && (type.SequenceEqual("get"u8) || type.SequenceEqual("set"u8));
        if (!request || !XmlPiece.TryAttribute(iq, "id"u8, out ReadOnlySpan<byte> id)) return;
        XmlPiece.TryAttribute(iq, "from"u8, out ReadOnlySpan<byte> from);
        if (id.Length + from.Length > LongestAddress) return;

        Span<byte> reply = stackalloc byte[LoginMachine.MaxReply];
        int at = 0;
        Append(reply, ref at, "<iq type='error' id=\""u8);
        Append(reply, ref at, id);
        if (!from.IsEmpty)
        {
            Append(reply, ref at, "\" to=\""u8);
            Append(reply, ref at, from);
        }

        Append(
            reply, ref at,
            "\"><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"u8);
        if (!sender.TryReply(index, reply[..at])) problems.Add("a request was not answered, for lack of room");

        static void Append(Span<byte> reply, ref int at, ReadOnlySpan<byte> text)
        {
            text.CopyTo(reply[at..]);
            at += text.Length;
        }
    }

    private void Reply(IReplySender sender, int index, ref BenchSession session, ReadOnlySpan<byte> piece)
    {
        if (!sender.TryReply(index, piece)) Close(sender, index, ref session, "the server asked for more answers at once than there was room for");
    }

    /// <summary>Ends the client's stream.</summary>
    private void Close(IReplySender sender, int index, ref BenchSession session, string? problem)
    {
        if (session.Phase >= SessionPhase.Closing) return;
        if (problem is not null) problems.Add(problem);
        BeforeClosing(index, ref session);
        session.Phase = SessionPhase.Closing;

        // Without room for the end the session ends on this side alone; the other side learns of it when the link or connection is closed.
        if (!sender.TryReply(index, [])) Finish(index, ref session);
    }

    private void HandleEnd(IReplySender sender, int index, ref BenchSession session)
    {
        if (session.Phase != SessionPhase.Closing)
        {
            if (!session.EndRequested) problems.Add("the server ended a session without closing its stream");
            sender.TryReply(index, []);
        }

        Finish(index, ref session);
    }

    private void BeforeClosing(int index, ref BenchSession session)
    {
        if (session.Phase == SessionPhase.Online) Interlocked.Decrement(ref _online);
        else if (session.IsLoggingIn) Interlocked.Increment(ref _failed);
        _exchanges.TryRemove(index, out _);
    }

    private void Finish(int index, ref BenchSession session)
    {
        BeforeClosing(index, ref session);
        session.Phase = SessionPhase.Closed;
        Interlocked.Increment(ref _closed);
    }
}
