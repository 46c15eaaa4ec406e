using System.Text;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Web;

/// <summary>The head of a connection's first request: whose it is, and where it ends.</summary>
public sealed class RequestHeadTests
{
    private const string Head = "GET /ws HTTP/1.1\r\nHost: example.org\r\n\r\n";

    [Fact]
    public void A_head_has_arrived_when_its_empty_line_has_however_it_was_cut()
    {
        for (int cut = 0; cut < Head.Length; cut++)
        {
            Assert.Equal(HeadProgress.Incomplete, Examine(Head[..cut]));
            Assert.Equal(HeadProgress.Whole, RequestHead.Examine(Bytes(Head), cut, "/ws"u8, out int length));
            Assert.Equal(Head.Length, length);
        }
    }

    [Fact]
    public void What_follows_a_head_is_not_part_of_it()
    {
        Assert.Equal(HeadProgress.Whole, RequestHead.Examine(Bytes(Head + "more\r\n\r\n"), 0, "/ws"u8, out int length));
        Assert.Equal(Head.Length, length);
    }

    [Theory]
    [InlineData("GET /ws?token=1 HTTP/1.1\r\n\r\n")]
    [InlineData("GET /ws HTTP/1.0\r\n\r\n")]
    public void A_query_and_any_version_are_of_the_path(string head) => Assert.Equal(HeadProgress.Whole, Examine(head));

    [Theory]
    [InlineData("P")]
    [InlineData("get /ws HTTP/1.1\r\n\r\n")]
    [InlineData("GET  /ws HTTP/1.1")]
    [InlineData("GET /w ")]
    [InlineData("GET /wS ")]
    [InlineData("GET /ws/")]
    [InlineData("GET /wss ")]
    [InlineData("GET /ws\r\n")]
    [InlineData("GET http://example.org/ws HTTP/1.1\r\n")]
    [InlineData("GET /%77s HTTP/1.1\r\n")]
    [InlineData("GET /./ws HTTP/1.1\r\n")]
    [InlineData("<stream:stream>")]
    [InlineData("\x16\x03\x01")]
    public void Any_other_request_is_known_by_its_first_byte_that_differs(string begin) => Assert.Equal(HeadProgress.Other, Examine(begin));

    [Theory]
    [InlineData("GET /ws HTTP/1.1\nHost: example.org\n\n")]
    [InlineData("GET /ws HTTP/1.1\r\nHost: example.org\n\r\n")]
    [InlineData("GET /ws \n")]
    public void A_line_that_ends_without_CR_is_malformed(string head) => Assert.Equal(HeadProgress.Malformed, Examine(head));

    [Fact]
    public void A_head_of_8_KiB_is_read_and_a_longer_one_is_not()
    {
        string longest = Head[..^2] + "X: " + new string('x', RequestHead.MaxBytes - Head.Length - 5) + "\r\n\r\n";
        Assert.Equal(RequestHead.MaxBytes, longest.Length);
        Assert.Equal(HeadProgress.Whole, Examine(longest));
        Assert.Equal(HeadProgress.TooLong, Examine(longest[..^4] + "x\r\n\r\n"));
        Assert.Equal(HeadProgress.TooLong, Examine("GET /ws?" + new string('x', RequestHead.MaxBytes)));
    }

    private static HeadProgress Examine(string received) => RequestHead.Examine(Bytes(received), 0, "/ws"u8, out _);

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);
}
