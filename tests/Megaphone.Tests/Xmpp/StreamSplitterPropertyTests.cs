using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Megaphone.Tests.Xmpp;

/// <summary>The splitter against a real XML parser, on random streams.</summary>
public class StreamSplitterPropertyTests
{
    private const string End = "</stream:stream>";
    private const int Limit = 400;

    private static readonly Gen<byte[]> WrongStreams = XmppStreams.Spoilt.Or(XmppStreams.Garbage);

    [Fact]
    public void Any_stream_cut_anywhere_gives_exactly_the_reference_parsers_pieces() => Check(
        Prop.ForAll(Arb.From(XmppStreams.Parts), Arb.From(XmppStreams.Cuts), (parts, cuts) =>
        {
            // The reference parser gets each part with a closing tag of its own.
            List<List<string>?> expectedPieces = [.. parts.Select(part => ReferenceParser.PiecesOf(part + End))];
            Assert.DoesNotContain(null, expectedPieces);
            List<string> expected = [.. expectedPieces.SelectMany(pieces => pieces![..^1]), End];

            Reading reading = Reading.Of(Encoding.UTF8.GetBytes(string.Concat(parts) + End), cuts);
            Assert.Null(reading.Fault);
            Assert.Equal(expected, reading.Pieces.Select(ReferenceParser.FromLatin1));
        }));

    [Fact]
    public void An_invalid_stream_is_refused_in_the_same_way_however_it_is_cut() => Check(
        Prop.ForAll(Arb.From(WrongStreams), Arb.From(XmppStreams.Cuts), (stream, cuts) =>
        {
            Reading whole = Reading.Of(stream, [int.MaxValue], Limit);
            Reading cut = Reading.Of(stream, cuts, Limit);
            Assert.Equal(whole.Fault, cut.Fault);
            Assert.Equal(whole.Pieces, cut.Pieces);
            Assert.InRange(cut.MostHeld, 0, Limit);
        }));

    [Fact]
    public void A_fault_is_found_as_soon_as_its_byte_has_arrived() => Check(
        Prop.ForAll(Arb.From(WrongStreams), stream =>
        {
            using Reading reading = new(Limit);
            for (int at = 0; at < stream.Length && reading.Fault is null; at++)
            {
                reading.Feed([stream[at]]);
                if (reading.Fault is not null) Assert.Equal(at, reading.Fault.Offset);
            }
        }));

    [Fact]
    public void What_the_reference_parser_accepts_is_never_refused() => Check(
        Prop.ForAll(Arb.From(XmppStreams.Spoilt), stream =>
        {
            if (ReferenceParser.TextOf(stream) is not { } text || ReferenceParser.PiecesOf(text) is not { } expectedPieces) return;
            Reading reading = Reading.Of(stream, [int.MaxValue]);
            Assert.Null(reading.Fault);
            Assert.Equal(expectedPieces, reading.Pieces.Select(ReferenceParser.FromLatin1));
        }));

    [Fact]
    public void No_piece_is_half_an_element_or_two() => Check(
        Prop.ForAll(Arb.From(WrongStreams), stream => Assert.All(Reading.Of(stream, [int.MaxValue], Limit).Pieces, piece =>
        {
            Assert.InRange(piece.Length, 1, Limit);
            Assert.True(ReferenceParser.IsOnePiece(piece), piece);
        })));

    private static void Check(Property property) =>
        FsCheck.Check.One(Config.QuickThrowOnFailure.WithMaxTest(2_000), property);
}
