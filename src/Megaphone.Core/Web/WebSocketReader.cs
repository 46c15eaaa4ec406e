using System.Diagnostics;
using System.Text.Unicode;
using Megaphone.Xmpp;

namespace Megaphone.Web;

/// <summary>Reads the frames of one end, and puts messages together from them: RFC 6455, section 5. No I/O.</summary>
/// <remarks>
/// <para>What is read must not depend on how it was cut. A message that arrives in one frame and whole is not copied; masks come off where the
/// bytes lie. What is incomplete is kept in native memory: the message so far without its mask, and behind it the beginning of a header or
/// of a control frame, which may come between two frames of a message.</para>
/// <para>Thread-safe, if each connection is used by one thread at a time.</para>
/// </remarks>
/// <param name="memory">The memory for incomplete messages.</param>
/// <param name="isMasked">Whether they are a client's; else a server's.</param>
internal sealed class WebSocketReader(PieceMemory memory, bool isMasked = true)
{
    /// <summary>The most that a frame can take that is kept as it arrived.</summary>
    private const int MostPending = FrameHeader.MaxBytes + FrameHeader.MaxControlPayload;

    private readonly WebBuffer _buffer = new(memory);

    /// <summary>Finds the next message or control frame; pongs are passed over.</summary>
    /// <param name="state">The connection's; what was delivered last becomes invalid.</param>
    /// <param name="maxMessage">The longest message that is accepted, the same throughout a connection.</param>
    /// <param name="unread">What has arrived, which is changed; what is consumed is removed from its front.</param>
    /// <param name="payload">The message in UTF-8, or the payload of the control frame: valid until the next call for this connection.</param>
    /// <param name="fault">With <see cref="Step.Refused"/>, why. Nothing more of that connection may be passed.</param>
    /// <param name="acceptedNow">The longest message that is accepted at present, if that is less.</param>
    public Step Next(
        ref WebState state, int maxMessage, ref Span<byte> unread, out ReadOnlySpan<byte> payload, out CloseCode fault,
        int acceptedNow = int.MaxValue)
    {
        Debug.Assert(!state.Reading.HasFlag(WebReading.Over));
        payload = default;
        fault = CloseCode.None;
        ForgetDelivered(ref state, maxMessage);
        while (true)
        {
            if (state.Reading.HasFlag(WebReading.Payload))
            {
                if (!TryReadPayload(ref state, maxMessage, ref unread, out payload, out bool isMessage, ref fault)) break;
                if (!isMessage)
                {
                    if (unread.IsEmpty && state.Reading.HasFlag(WebReading.Payload)) return Step.Incomplete;
                    continue;
                }

                if (Utf8.IsValid(payload)) return Step.Message;
                fault = CloseCode.InvalidData;
                break;
            }

            FrameHeader? header = ReadHeader(state, unread, out fault);
            if (fault != CloseCode.None) break;
            if (header is not { } frame)
            {
                if (TryKeepPending(ref state, maxMessage, ref unread)) return Step.Incomplete;
                fault = CloseCode.TryAgainLater;
                break;
            }

            if (!frame.IsControl)
            {
                fault = Begin(ref state, maxMessage, Math.Min(maxMessage, acceptedNow), frame, ref unread);
                if (fault != CloseCode.None) break;
                continue;
            }

            int missing = frame.Length + (int)frame.PayloadLength - state.Pending;
            if (missing > unread.Length)
            {
                if (TryKeepPending(ref state, maxMessage, ref unread)) return Step.Incomplete;
                fault = CloseCode.TryAgainLater;
                break;
            }

            if (!TryReadControl(ref state, maxMessage, frame, unread[..missing], out payload))
            {
                fault = CloseCode.TryAgainLater;
                break;
            }

            unread = unread[missing..];
            if (frame.Opcode == Opcode.Ping) return Step.Ping;
            if (frame.Opcode == Opcode.Close) return Step.Close;
            payload = default;
            ForgetDelivered(ref state, maxMessage);
        }

        Release(ref state, maxMessage);
        return Step.Refused;
    }

    /// <summary>Frees a connection's memory, and reads no more of it. To be called when it is over in whatever way; again does no harm.</summary>
    public void Release(ref WebState state, int maxMessage)
    {
        _buffer.Free(ref state, MostKept(maxMessage));
        state.Reading = WebReading.Over;
    }

    /// <summary>Gives a state that came without its memory a copy of what it held.</summary>
    /// <returns>False when the state cannot be; then nothing is held.</returns>
    public bool TryRestore(ref WebState state, int maxMessage, ReadOnlySpan<byte> held)
    {
        if (!_buffer.TryRestore(ref state, MostKept(maxMessage), held)) return false;
        if (IsPossible(state, maxMessage, isMasked)) return true;
        _buffer.Free(ref state, MostKept(maxMessage));
        return false;
    }

    /// <summary>The memory that a connection holds, in bytes.</summary>
    public static int HeldBy(in WebState state, int maxMessage) => WebBuffer.HeldBy(state, MostKept(maxMessage));

    private static int MostKept(int maxMessage) => maxMessage + MostPending;

    /// <summary>Whether a state can be what one is between two calls.</summary>
    private static bool IsPossible(in WebState state, int maxMessage, bool isMasked)
    {
        const WebReading inPayload = WebReading.Message | WebReading.Payload;
        bool isPayload = state.Reading.HasFlag(WebReading.Payload);
        ReadOnlySpan<byte> pending = WebBuffer.Content(state)[state.Length..];
        FrameHeader? header = FrameHeader.Read(pending, isMasked, out CloseCode fault);
        return state.Reading is WebReading.None or WebReading.Message or inPayload or (inPayload | WebReading.Final) or WebReading.Over
            && (state.Reading.HasFlag(WebReading.Message) || state.Length == 0)
            && state.Length <= maxMessage
            && (isPayload ? state.Remaining >= 0 && state.Remaining <= maxMessage - state.Length : state.Remaining == 0)
            && (pending.IsEmpty || (!isPayload && state.Reading != WebReading.Over))
            && fault == CloseCode.None
            && (header is not { } frame || (frame.IsControl && pending.Length < frame.Length + frame.PayloadLength))
            && state.Stream <= FramedLife.Closed;
    }

    private void ForgetDelivered(ref WebState state, int maxMessage)
    {
        if (state.Reading.HasFlag(WebReading.MessageDelivered)) _buffer.Free(ref state, MostKept(maxMessage));
        else if (state.Reading.HasFlag(WebReading.ControlDelivered)) _buffer.DropPending(ref state, MostKept(maxMessage));
        state.Reading &= ~(WebReading.MessageDelivered | WebReading.ControlDelivered);
    }

    /// <summary>Reads a header of which the beginning may be pending.</summary>
    private FrameHeader? ReadHeader(in WebState state, ReadOnlySpan<byte> unread, out CloseCode fault)
    {
        if (state.Pending == 0) return FrameHeader.Read(unread, isMasked, out fault);
        Span<byte> joined = stackalloc byte[MostPending + FrameHeader.MaxBytes];
        ReadOnlySpan<byte> pending = WebBuffer.Content(state)[state.Length..];
        ReadOnlySpan<byte> more = unread[..Math.Min(unread.Length, FrameHeader.MaxBytes)];
        pending.CopyTo(joined);
        more.CopyTo(joined[pending.Length..]);
        return FrameHeader.Read(joined[..(pending.Length + more.Length)], isMasked, out fault);
    }

    /// <summary>Keeps the beginning of a header or control frame as it arrived: all that there is.</summary>
    private bool TryKeepPending(ref WebState state, int maxMessage, ref Span<byte> unread)
    {
        if (!_buffer.TryGrow(ref state, MostKept(maxMessage), unread.Length, out Span<byte> room)) return false;
        unread.CopyTo(room);
        state.Pending += (byte)unread.Length;
        unread = default;
        return true;
    }

    /// <summary>Begins with the payload of a data frame.</summary>
    private CloseCode Begin(ref WebState state, int maxMessage, int acceptedNow, FrameHeader frame, ref Span<byte> unread)
    {
        bool isWithinMessage = state.Reading.HasFlag(WebReading.Message);
        if (isWithinMessage != (frame.Opcode == Opcode.Continuation)) return CloseCode.ProtocolError;
        if (frame.PayloadLength > acceptedNow - state.Length) return CloseCode.TooLong;
        unread = unread[(frame.Length - state.Pending)..];
        _buffer.DropPending(ref state, MostKept(maxMessage));
        (state.Remaining, state.Mask) = ((int)frame.PayloadLength, frame.Mask);
        state.Reading = WebReading.Message | WebReading.Payload | (frame.IsFinal ? WebReading.Final : WebReading.None);
        return CloseCode.None;
    }

    private bool TryReadPayload(
        scoped ref WebState state, int maxMessage, ref Span<byte> unread, out ReadOnlySpan<byte> payload, out bool isMessage,
        scoped ref CloseCode fault)
    {
        payload = default;
        Span<byte> part = unread[..Math.Min(unread.Length, state.Remaining)];
        unread = unread[part.Length..];
        state.Mask = Mask.Remove(part, state.Mask);
        state.Remaining -= part.Length;
        int before = state.Length;
        bool isFrame = state.Remaining == 0;
        isMessage = isFrame && state.Reading.HasFlag(WebReading.Final);
        if (isMessage && state.Length == 0)
        {
            payload = part;
        }
        else if (!_buffer.TryAppend(ref state, MostKept(maxMessage), part))
        {
            fault = CloseCode.TryAgainLater;
            return false;
        }
        else if (isMessage)
        {
            payload = WebBuffer.Content(state);
        }
        else if (!Utf8Prefix.IsValid(WebBuffer.Content(state), before))
        {
            fault = CloseCode.InvalidData;
            return false;
        }

        if (isMessage) state.Reading = WebReading.MessageDelivered;
        else if (isFrame) state.Reading = WebReading.Message;
        return true;
    }

    /// <summary>Takes a control frame that is there whole.</summary>
    /// <param name="state">The connection's.</param>
    /// <param name="maxMessage">The longest message.</param>
    /// <param name="frame">Its header.</param>
    /// <param name="rest">What is not pending of it.</param>
    /// <param name="payload">Its payload.</param>
    private bool TryReadControl(ref WebState state, int maxMessage, FrameHeader frame, Span<byte> rest, out ReadOnlySpan<byte> payload)
    {
        payload = default;
        Span<byte> whole = rest;
        if (state.Pending > 0)
        {
            if (!TryKeepPending(ref state, maxMessage, ref rest)) return false;
            whole = WebBuffer.Content(state)[state.Length..];
        }

        Span<byte> masked = whole[frame.Length..];
        Mask.Remove(masked, frame.Mask);
        payload = masked;
        state.Reading |= WebReading.ControlDelivered;
        return true;
    }

    /// <summary>What <see cref="Next"/> found.</summary>
    internal enum Step
    {
        /// <summary>All input was consumed, and more is needed.</summary>
        Incomplete,

        /// <summary>A text message is complete.</summary>
        Message,

        /// <summary>The client asks for a pong with the same payload.</summary>
        Ping,

        /// <summary>The client ends its direction.</summary>
        Close,

        /// <summary>The connection is refused, and stays so.</summary>
        Refused,
    }
}
