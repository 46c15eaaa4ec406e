using System.Text;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Tests.Web;

/// <summary>One end's frames as the reader reads them: records what it finds, and the memory that is held.</summary>
internal sealed class FrameReading(int maxMessage = 262_144, PieceMemory? memory = null) : IDisposable
{
    private readonly PieceMemory _memory = memory ?? new PieceMemory(long.MaxValue);
    private readonly List<string> _found = [];
    private WebState _state;

    /// <summary>What was found, as <c>Message: text</c>, in Latin 1 so that every byte is a character.</summary>
    public IReadOnlyList<string> Found => _found;

    public CloseCode Fault { get; private set; }

    public int MostHeld { get; private set; }

    public int Held => WebSocketReader.HeldBy(_state, maxMessage);

    /// <summary>The longest message that is accepted at present, if that is less than the longest of all.</summary>
    public int AcceptedNow { get; set; } = int.MaxValue;

    public bool IsStranger { get; init; }

    /// <summary>Whether the frames are a client's.</summary>
    public bool IsMasked { get; init; } = true;

    public bool IsOver => Fault != CloseCode.None;

    /// <summary>Reads frames in parts of these lengths, repeated.</summary>
    public static FrameReading Of(byte[] frames, int[] lengths, int maxMessage = 262_144)
    {
        using FrameReading reading = new(maxMessage);
        int at = 0;
        for (int i = 0; at < frames.Length && !reading.IsOver; i++)
        {
            int length = Math.Min(lengths[i % lengths.Length], frames.Length - at);
            reading.Feed(frames.AsSpan(at, length).ToArray());
            at += length;
        }

        return reading;
    }

    public static FrameReading Of(params byte[][] frames) => Of([.. frames.SelectMany(frame => frame)], [int.MaxValue]);

    /// <param name="part">Changed.</param>
    public void Feed(Span<byte> part)
    {
        WebSocketReader reader = new(_memory, IsMasked);
        Span<byte> unread = part;
        _state.IsStranger = IsStranger;
        while (true)
        {
            WebSocketReader.Step step =
                reader.Next(ref _state, maxMessage, ref unread, out ReadOnlySpan<byte> payload, out CloseCode fault, AcceptedNow);
            MostHeld = Math.Max(MostHeld, Held);
            Fault = fault;
            if (step is WebSocketReader.Step.Incomplete or WebSocketReader.Step.Refused) return;
            _found.Add($"{step}: {Encoding.Latin1.GetString(payload)}");
        }
    }

    /// <summary>Goes on with a copy of what is held, as the next image of a process does.</summary>
    /// <returns>Whether the state was taken over.</returns>
    public bool TryHandOver(Func<WebState, WebState>? damage = null) =>
        TryRestore(damage is null ? _state : damage(_state), WebBuffer.Content(_state).ToArray());

    /// <summary>Has another one go on with a copy.</summary>
    /// <returns>Whether the state was taken over.</returns>
    public bool TryHandOver(FrameReading next) => next.TryRestore(_state, WebBuffer.Content(_state).ToArray());

    /// <summary>Goes on with a state and a copy of what it held.</summary>
    /// <returns>Whether it was taken over.</returns>
    public bool TryRestore(WebState state, byte[] held)
    {
        WebSocketReader reader = new(_memory, IsMasked);
        reader.Release(ref _state, maxMessage);
        _state = state;
        return reader.TryRestore(ref _state, maxMessage, held);
    }

    public void Dispose() => new WebSocketReader(_memory, IsMasked).Release(ref _state, maxMessage);
}
