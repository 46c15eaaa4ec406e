using System.Text;
using Megaphone.Tests.Xmpp;
using Megaphone.Xmpp;

namespace Megaphone.Fuzz;

/// <summary>
/// A client's XML stream: the same pieces and the same fault however it is cut, a fault known as soon as its byte is there, the pieces of
/// a real XML parser wherever that takes the stream, no piece that is half an element or two, memory within its bounds and all of it
/// given back.
/// </summary>
internal static class StreamSplitterTarget
{
    private const int MaxPieceBytes = 400;
    private const int ScarceMemory = 256;

    /// <summary>At the end of a longer text the parser loses count of its columns.</summary>
    private const int LongestForReferenceParser = 4_000;

    public static void Run(byte[] input)
    {
        CutStream stream = CutStream.Parse(input);
        Reading whole = Read(stream.Bytes, CutStream.Whole, long.MaxValue);
        Property.Holds(AreSame(whole, Read(stream.Bytes, stream.Lengths, long.MaxValue)), "a stream is read the same however it is cut");
        Property.Holds(AreSame(whole, Read(stream.Bytes, CutStream.Single, long.MaxValue)), "a stream is read the same byte by byte");
        CheckScarce(whole, Read(stream.Bytes, stream.Lengths, ScarceMemory));
        if (whole.Fault is { } fault) Property.IsOneLine(fault.ToString());
        foreach (string piece in whole.Pieces)
        {
            Property.Holds(piece.Length <= MaxPieceBytes, "no piece is longer than allowed");
            Property.Holds(ReferenceParser.IsOnePiece(piece), $"a piece is a header, an element or the closing tag: {piece}");
        }

        if (stream.Bytes.Length > LongestForReferenceParser || ReferenceParser.TextOf(stream.Bytes) is not { } text) return;
        if (ReferenceParser.PiecesOf(text) is not { } expected || expected.Exists(piece => Encoding.UTF8.GetByteCount(piece) > MaxPieceBytes)) return;
        Property.Holds(whole.Fault is null, $"what XML allows and XMPP does not forbid is read: {whole.Fault}");
        Property.Holds(expected.SequenceEqual(whole.Pieces.Select(ReferenceParser.FromLatin1)), "the pieces are those of a real parser");
    }

    private static Reading Read(byte[] bytes, int[] lengths, long memoryLimit)
    {
        PieceMemory memory = new(memoryLimit);
        Reading reading = new(MaxPieceBytes, memory);
        int received = 0;
        CutStream.Feed(bytes, lengths, part =>
        {
            reading.Feed(part);
            Property.Holds(memory.InUse == reading.Held, "what is held is counted");
            if (reading.Fault is { } fault)
            {
                Property.Holds(reading.Held == 0, "a refused stream holds no memory");
                Property.Holds(
                    (fault.Offset >= received && fault.Offset < received + part.Count) || fault.Kind == StreamFaultKind.NoMemory,
                    $"a fault is known as soon as its byte is there: {fault}");
            }

            received += part.Count;
            return reading.Fault is null;
        });
        Property.Holds(reading.MostHeld <= MaxPieceBytes, "no more is held than a piece may be long");
        reading.Dispose();
        Property.Holds(memory.InUse == 0, "all memory is given back");
        return reading;
    }

    private static bool AreSame(Reading one, Reading other) =>
        one.Fault == other.Fault && one.IsDiscarding == other.IsDiscarding && one.Pieces.SequenceEqual(other.Pieces);

    /// <summary>Without enough memory a stream reads the same up to where the memory is used up.</summary>
    private static void CheckScarce(Reading whole, Reading scarce)
    {
        Property.Holds(scarce.MostHeld <= ScarceMemory, "no more is held than there is");
        bool isSame = scarce.Fault?.Kind == StreamFaultKind.NoMemory
            ? whole.Pieces.Take(scarce.Pieces.Count).SequenceEqual(scarce.Pieces)
            : AreSame(whole, scarce);
        Property.Holds(isSame, "scarce memory changes nothing but that a stream is refused for it");
    }
}
