using System.Text;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Web;

/// <summary>The server's frames.</summary>
public sealed class WebSocketFrameTests
{
    [Fact]
    public void The_example_of_section_5_7_is_written() =>
        Assert.Equal([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], WebSocketFrame.Text("Hello"u8));

    [Fact]
    public void Lengths_are_written_in_their_shortest_form()
    {
        Assert.Equal([0x81, 125], WebSocketFrame.Text(new byte[125])[..2]);
        Assert.Equal([0x81, 126, 0, 126], WebSocketFrame.Text(new byte[126])[..4]);
        Assert.Equal([0x81, 126, 0xFF, 0xFF], WebSocketFrame.Text(new byte[65_535])[..4]);
    }

    [Fact]
    public void A_close_frame_has_its_code()
    {
        Assert.Equal([0x88, 2, 3, 0xE8], WebSocketFrame.Close(CloseCode.Normal));
        Assert.Equal([0x88, 0], WebSocketFrame.Close(CloseCode.None));
    }

    [Fact]
    public void A_pong_repeats_what_the_ping_had() =>
        Assert.Equal([0x8A, 2, 1, 2], WebSocketFrame.WriteControl(new byte[WebSocketFrame.MaxControlBytes], Opcode.Pong, [1, 2]).ToArray());

    [Theory]
    [InlineData(1000)]
    [InlineData(1001)]
    [InlineData(1003)]
    [InlineData(1007)]
    [InlineData(1014)]
    [InlineData(3000)]
    [InlineData(4999)]
    public void A_close_is_answered_with_its_own_code(int code) => Assert.Equal(code, AnswerTo(code, "bye"));

    [Theory]
    [InlineData(0)]
    [InlineData(999)]
    [InlineData(1004)]
    [InlineData(1005)]
    [InlineData(1006)]
    [InlineData(1015)]
    [InlineData(1016)]
    [InlineData(2999)]
    [InlineData(5000)]
    public void A_code_that_may_not_be_sent_is_answered_with_1002(int code) => Assert.Equal(1002, AnswerTo(code, ""));

    [Fact]
    public void A_close_without_a_code_with_half_a_one_and_with_a_reason_that_is_no_text()
    {
        Assert.Equal(CloseCode.None, WebSocketFrame.AnswerTo([]));
        Assert.Equal(CloseCode.ProtocolError, WebSocketFrame.AnswerTo([3]));
        Assert.Equal(CloseCode.InvalidData, WebSocketFrame.AnswerTo([3, 0xE8, 0xFF]));
    }

    private static int AnswerTo(int code, string reason) =>
        (int)WebSocketFrame.AnswerTo([(byte)(code >> 8), (byte)code, .. Encoding.UTF8.GetBytes(reason)]);
}
