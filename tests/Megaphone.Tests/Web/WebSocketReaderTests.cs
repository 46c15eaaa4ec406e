using System.Text;
using Megaphone.Web;
using Megaphone.Xmpp;
using Xunit;
using static Megaphone.Tests.Web.ClientFrames;

namespace Megaphone.Tests.Web;

/// <summary>A client's frames: RFC 6455, section 5.</summary>
public sealed class WebSocketReaderTests
{
    private static readonly Func<WebState, WebState>[] Damages =
    [
        state => state with { Length = -1 },
        state => state with { Length = state.Length + 1 },
        state => state with { Length = state.Length - 1, Pending = 1 },
        state => state with { Remaining = -1 },
        state => state with { Remaining = 1 << 20 },
        state => state with { Reading = WebReading.None },
        state => state with { Reading = WebReading.Message },
        state => state with { Reading = WebReading.Payload },
        state => state with { Reading = WebReading.Over },
        state => state with { Reading = WebReading.Message | WebReading.MessageDelivered },
        state => state with { Stream = (FramedLife)3 },
    ];

    [Fact]
    public void The_examples_of_section_5_7_are_read()
    {
        Assert.Equal(["Message: Hello"], Read([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]));
        Assert.Equal(["Ping: Hello"], Read([0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]));
    }

    [Fact]
    public void Fragments_are_one_message_and_control_frames_may_come_between_them()
    {
        Assert.Equal(
            ["Ping: a", "Ping: ", "Message: <a><b/></a>", "Message: c", "Close: "],
            Read(
                Text("<a>", final: false), Ping("a"), More("<b/>", final: false), Pong("x"), Ping(), More("", final: false), More("</a>"),
                Text("c"), Close()));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(125)]
    [InlineData(126)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(200_000)]
    public void Messages_of_all_forms_of_length_are_read(int length)
    {
        string text = new('x', length);
        Assert.Equal([$"Message: {text}"], Read(Text(text)));
    }

    [Fact]
    public void What_is_read_does_not_depend_on_where_it_was_cut()
    {
        byte[] frames =
        [
            .. Text("<a>\u00fc", final: false), .. Ping("what?"), .. More("\u20ac", final: false), .. Pong(), .. More("</a>"), .. Ping(""),
            .. Text(new string('y', 130)), .. Text(""), .. Close(1000, "bye"),
        ];
        FrameReading whole = FrameReading.Of(frames, [int.MaxValue]);
        Assert.Equal(6, whole.Found.Count);
        for (int one = 1; one < frames.Length; one++)
            Assert.Equal(whole.Found, FrameReading.Of(frames, [one, 1, 2, frames.Length]).Found);
        Assert.Equal(whole.Found, FrameReading.Of(frames, [1]).Found);
    }

    [Fact]
    public void What_is_read_does_not_depend_on_who_goes_on_with_it()
    {
        byte[] frames =
        [
            .. Text("<a>", final: false), .. Ping("what?"), .. More("\u20ac", final: false), .. More("</a>"), .. Text(new string('y', 130)),
        ];
        PieceMemory memory = new(long.MaxValue);
        for (int cut = 0; cut <= frames.Length; cut++)
        {
            using FrameReading reading = new(memory: memory);
            reading.Feed(frames.AsSpan(0, cut).ToArray());
            Assert.True(reading.TryHandOver());
            reading.Feed(frames.AsSpan(cut).ToArray());
            Assert.Equal(FrameReading.Of(frames, [int.MaxValue]).Found, reading.Found);
            Assert.Equal(0, memory.InUse);
        }
    }

    [Fact]
    public void A_state_that_cannot_be_is_not_taken_over() => Assert.All(Damages, damage =>
    {
        PieceMemory memory = new(long.MaxValue);
        using FrameReading reading = new(memory: memory);
        reading.Feed(Text("a message").AsSpan(0, 10));
        Assert.False(reading.TryHandOver(damage));
        Assert.Equal(0, memory.InUse);
    });

    [Theory]
    [InlineData(new byte[] { 0x81, 0x80, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0x89, 0x81, 0, 0, 0, 0, 1 })]
    [InlineData(new byte[] { 0xF0 })]
    public void What_would_have_been_read_at_once_is_not_taken_over_as_pending(byte[] pending)
    {
        using FrameReading reading = new();
        reading.Feed(new byte[] { 0x89 });
        Assert.False(reading.TryRestore(new WebState { Pending = (byte)pending.Length }, pending));
    }

    [Fact]
    public void A_mask_is_removed_whatever_the_length_and_wherever_it_is_cut()
    {
        byte[] payload = [.. Enumerable.Range(0, 300).Select(value => (byte)(value % 127))];
        for (int length = 0; length < payload.Length; length += 7)
        {
            byte[] frame = Frame((int)Opcode.Text, payload.AsSpan(0, length), mask: 0xC3D2E1F0);
            for (int cut = 1; cut < frame.Length; cut += 5)
                Assert.Equal([$"Message: {Encoding.Latin1.GetString(payload, 0, length)}"], FrameReading.Of(frame, [cut, int.MaxValue]).Found);
        }
    }

    [Theory]
    [InlineData(0xC1, 0x80)] // RSV1, as a compressed message has it
    [InlineData(0xA1, 0x80)] // RSV2
    [InlineData(0x91, 0x80)] // RSV3
    [InlineData(0x83, 0x80)] // an opcode that is reserved
    [InlineData(0x8B, 0x80)] // another
    [InlineData(0x81, 0x05)] // no mask
    [InlineData(0x09, 0x80)] // a ping in fragments
    [InlineData(0x89, 0xFE)] // a ping of more than 125 bytes
    [InlineData(0x80, 0x80, 0, 0, 0, 0)] // a continuation of nothing
    [InlineData(0x81, 0xFE, 0, 125, 0, 0, 0, 0)] // 125 in 16 bits
    [InlineData(0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0)] // 65,535 in 64 bits
    [InlineData(0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)] // 2^63
    public void Frames_that_the_RFC_forbids_are_refused_with_1002(params int[] frame) => Assert.Equal(CloseCode.ProtocolError, FaultOf(Bytes(frame)));

    [Fact]
    public void A_message_must_end_before_the_next_begins() =>
        Assert.Equal(CloseCode.ProtocolError, FaultOf([.. Text("a", final: false), .. Text("b")]));

    [Fact]
    public void Binary_messages_are_refused_with_1003_at_their_first_byte() => Assert.Equal(CloseCode.UnsupportedData, FaultOf([0x82]));

    [Theory]
    [InlineData(0xC0, 0xAF)] // too long a form
    [InlineData(0xED, 0xA0, 0x80)] // a surrogate
    [InlineData(0xF4, 0x90, 0x80, 0x80)] // beyond Unicode
    [InlineData(0xE2, 0x82)] // an incomplete character
    public void Text_that_is_not_UTF_8_is_refused_with_1007(params int[] text) =>
        Assert.Equal(CloseCode.InvalidData, FaultOf(Frame((int)Opcode.Text, Bytes(text))));

    [Fact]
    public void A_character_may_be_cut_by_fragments() => Assert.Equal(
        ["Message: \u00e2\u0082\u00ac"], Read(Frame((int)Opcode.Text, [0xE2], final: false), Frame((int)Opcode.Continuation, [0x82, 0xAC])));

    [Theory]
    [InlineData(new byte[] { 0xF4 }, new byte[] { 0x90 })] // beyond Unicode, whatever follows
    [InlineData(new byte[] { 0xED }, new byte[] { 0xA0 })] // a surrogate
    [InlineData(new byte[] { 0xE2, 0x82 }, new byte[] { 0x41 })] // a character that breaks off
    [InlineData(new byte[] { 0xF0, 0x9F, 0x8C, 0xB9 }, new byte[] { 0xB9 })] // a character that goes on behind its end
    [InlineData(new byte[] { }, new byte[] { 0xC0 })] // too long a form
    public void Text_is_refused_with_1007_as_soon_as_it_cannot_become_UTF_8(byte[] valid, byte[] wrong)
    {
        byte[] text = [.. "<a>"u8, .. valid, .. wrong, .. "more"u8];
        byte[] frame = Frame((int)Opcode.Text, text);
        using FrameReading whole = new();
        whole.Feed(frame.AsSpan(0, frame.Length - wrong.Length - 4));
        Assert.False(whole.IsOver);
        whole.Feed(frame.AsSpan(frame.Length - wrong.Length - 4, wrong.Length));
        Assert.Equal(CloseCode.InvalidData, whole.Fault);

        using FrameReading fragments = new();
        fragments.Feed(Frame((int)Opcode.Text, [.. "<a>"u8, .. valid], final: false));
        Assert.False(fragments.IsOver);
        fragments.Feed(Frame((int)Opcode.Continuation, wrong, final: false));
        Assert.Equal(CloseCode.InvalidData, fragments.Fault);
        Assert.Equal(0, fragments.Held);
    }

    [Fact]
    public void Frames_of_a_server_have_no_mask()
    {
        using FrameReading reading = new() { IsMasked = false };
        byte[] frames =
        [
            .. WebSocketFrame.Text(Encoding.UTF8.GetBytes(new string('x', 300))), 0x01, 2, .. "<a"u8, .. WebSocketFrame.EmptyPing, 0x80, 2, .. "/>"u8,
            .. WebSocketFrame.Close(CloseCode.Normal),
        ];
        foreach (byte one in frames) reading.Feed(new[] { one });
        Assert.Equal([$"Message: {new string('x', 300)}", "Ping: ", "Message: <a/>", "Close: \u0003\u00e8"], reading.Found);
        using FrameReading masked = new() { IsMasked = false };
        masked.Feed(Text("<a/>"));
        Assert.Equal(CloseCode.ProtocolError, masked.Fault);
    }

    [Fact]
    public void A_message_that_is_too_long_is_refused_with_1009_before_it_has_come()
    {
        byte[] header = [0x81, 0xFE, 1, 145, 0, 0, 0, 0];
        Assert.Equal(CloseCode.TooLong, FrameReading.Of(header, [int.MaxValue], maxMessage: 400).Fault);
        Assert.Equal(["Message: " + new string('x', 400)], FrameReading.Of(Text(new string('x', 400)), [100], maxMessage: 400).Found);
        Assert.Equal(CloseCode.TooLong, FrameReading.Of([.. Text(new string('x', 400), final: false), .. More("x")], [100], maxMessage: 400).Fault);
    }

    [Fact]
    public void An_idle_client_holds_no_memory_and_a_message_no_more_than_its_length_twice()
    {
        PieceMemory memory = new(long.MaxValue);
        using FrameReading reading = new(100_000, memory);
        reading.Feed(Text("<a/>"));
        Assert.Equal(0, reading.MostHeld);
        byte[] frames = Text(new string('x', 3_000));
        reading.Feed(frames.AsSpan(0, 2_000));
        Assert.Equal(2_048, reading.Held);
        reading.Feed(frames.AsSpan(2_000));
        Assert.Equal(["Message: <a/>", "Message: " + new string('x', 3_000)], reading.Found);
        reading.Feed([]);
        Assert.Equal(0, memory.InUse);
    }

    [Fact]
    public void Without_memory_for_a_message_its_client_is_refused()
    {
        using FrameReading reading = new(100_000, new PieceMemory(1_000));
        reading.Feed(Text(new string('x', 3_000)).AsSpan(0, 2_000));
        Assert.Equal(CloseCode.TryAgainLater, reading.Fault);
        Assert.Equal(0, reading.Held);
    }

    [Fact]
    public void Memory_for_messages_that_come_in_parts_is_half_for_strangers_and_all_for_others()
    {
        byte[] part = Text(new string('x', 3_000))[..700];
        using FrameReading stranger = new(100_000, new PieceMemory(1_024)) { IsStranger = true };
        stranger.Feed((byte[])[.. part]);
        Assert.Equal(CloseCode.TryAgainLater, stranger.Fault);
        using FrameReading user = new(100_000, new PieceMemory(1_024));
        user.Feed((byte[])[.. part]);
        Assert.Equal((CloseCode.None, 1_024), (user.Fault, user.Held));
    }

    [Fact]
    public void A_message_that_is_too_long_at_present_is_refused_whole_or_in_fragments()
    {
        string eight = new('x', 8);
        using FrameReading reading = new(100) { AcceptedNow = 16 };
        reading.Feed((byte[])[.. Text(eight + eight), .. Text(eight, final: false)]);
        Assert.Equal([$"Message: {eight}{eight}"], reading.Found);
        reading.AcceptedNow = 15;
        reading.Feed(More(eight));
        Assert.Equal(CloseCode.TooLong, reading.Fault);
        Assert.Equal(0, reading.Held);
    }

    [Fact]
    public void What_was_there_before_a_reload_is_kept_where_there_is_less_memory_now()
    {
        using FrameReading reading = new(100_000);
        reading.Feed(Text(new string('x', 900)).AsSpan(0, 600));
        using FrameReading next = new(100_000, new PieceMemory(100));
        Assert.True(reading.TryHandOver(next));
        Assert.Equal(reading.Held, next.Held);
    }

    private static IEnumerable<string> Read(params byte[][] frames)
    {
        FrameReading reading = FrameReading.Of(frames);
        Assert.Equal(CloseCode.None, reading.Fault);
        return reading.Found;
    }

    private static CloseCode FaultOf(byte[] frames)
    {
        CloseCode fault = FrameReading.Of(frames, [int.MaxValue]).Fault;
        Assert.Equal(fault, FrameReading.Of(frames, [1]).Fault);
        return fault;
    }

    private static byte[] Bytes(int[] values) => [.. values.Select(value => (byte)value)];
}
