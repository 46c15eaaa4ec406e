using System.Text;
using Megaphone.Xmpp;

namespace Megaphone.Tests.Xmpp;

/// <summary>One client's stream as the splitter reads it: records the pieces, and checks the memory that is held.</summary>
internal sealed class Reading(int maxPieceBytes = 262_144, PieceMemory? memory = null) : IDisposable
{
    private readonly PieceMemory _memory = memory ?? new PieceMemory(long.MaxValue);
    private readonly List<string> _pieces = [];
    private StreamState _stream;

    /// <summary>The pieces, as Latin 1, so that every byte is a character.</summary>
    public IReadOnlyList<string> Pieces => _pieces;

    public StreamFault? Fault { get; private set; }

    /// <summary>The most memory that was held at any time.</summary>
    public int MostHeld { get; private set; }

    /// <summary>Whether something other than white space followed the stream's end.</summary>
    public bool IsDiscarding { get; private set; }

    public int Held => StreamSplitter.HeldBy(_stream, maxPieceBytes);

    /// <summary>Reads a stream in parts of these lengths, repeated.</summary>
    public static Reading Of(byte[] stream, int[] lengths, int maxPieceBytes = 262_144)
    {
        using Reading reading = new(maxPieceBytes);
        int at = 0;
        for (int i = 0; at < stream.Length && reading.Fault is null; i++)
        {
            int length = Math.Min(lengths[i % lengths.Length], stream.Length - at);
            reading.Feed(stream.AsSpan(at, length));
            at += length;
        }

        return reading;
    }

    public static Reading Of(string stream, int maxPieceBytes = 262_144) =>
        Of(Encoding.UTF8.GetBytes(stream), [int.MaxValue], maxPieceBytes);

    public Reading Feed(string text) => Feed(Encoding.UTF8.GetBytes(text));

    public Reading Feed(ReadOnlySpan<byte> bytes)
    {
        StreamSplitter splitter = new(_memory);
        ReadOnlySpan<byte> unread = bytes;
        while (true)
        {
            StreamSplitter.Step step = splitter.Next(ref _stream, maxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out StreamFault? fault);
            MostHeld = Math.Max(MostHeld, Held);
            Fault = fault;
            IsDiscarding = _stream.IsDiscarding;
            if (step != StreamSplitter.Step.Piece) return this;
            _pieces.Add(Encoding.Latin1.GetString(piece));
        }
    }

    public void Dispose() => new StreamSplitter(_memory).Release(ref _stream, maxPieceBytes);
}
