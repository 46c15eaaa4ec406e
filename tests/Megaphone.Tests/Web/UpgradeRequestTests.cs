using System.Text;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Web;

/// <summary>The client's opening handshake (RFC 6455, section 4.2.1; RFC 7395, section 3.1), and what could be read in two ways.</summary>
public sealed class UpgradeRequestTests
{
    private static readonly string[] Right =
    [
        "Host: example.org",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: xmpp",
    ];

    [Fact]
    public void A_request_as_the_RFC_has_it_is_accepted()
    {
        Assert.Equal(UpgradeVerdict.Accepted, UpgradeRequest.Read(Head([.. Right, "Origin: https://example.org"]), out UpgradeRequest request));
        Assert.Equal("dGhlIHNhbXBsZSBub25jZQ==", Encoding.ASCII.GetString(request.Key));
        Assert.Equal("https://example.org", Encoding.ASCII.GetString(request.Origin));
    }

    [Theory]
    [InlineData("uPGRADE:\tWebSocket \t")]
    [InlineData("Upgrade: h2c, websocket")]
    [InlineData("CONNECTION: keep-alive , upgrade")]
    [InlineData("Sec-WebSocket-Protocol: chat, xmpp")]
    public void Names_and_lists_are_read_as_HTTP_has_them(string field) => Assert.Equal(UpgradeVerdict.Accepted, With(field));

    [Fact]
    public void The_subprotocol_may_stand_in_a_second_field() =>
        Assert.Equal(UpgradeVerdict.Accepted, Read(["Sec-WebSocket-Protocol: chat", .. Right]));

    [Theory]
    [InlineData("Host")]
    [InlineData("Connection")]
    [InlineData("Sec-WebSocket-Key")]
    [InlineData("Sec-WebSocket-Version")]
    public void Each_of_its_fields_must_be_there(string name) =>
        Assert.Equal(UpgradeVerdict.Malformed, Read([.. Right.Where(field => !IsOf(field, name))]));

    [Fact]
    public void Without_Upgrade_it_is_some_other_request() =>
        Assert.Equal(UpgradeVerdict.NotUpgrade, Read([.. Right.Where(field => !IsOf(field, "Upgrade"))]));

    [Theory]
    [InlineData("Host: example.com")]
    [InlineData("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")]
    [InlineData("Sec-WebSocket-Version: 13")]
    [InlineData("Origin: https://example.org", "Origin: https://example.com")]
    [InlineData("Content-Length: 0")]
    [InlineData("Transfer-Encoding: chunked")]
    [InlineData("Name : space before the colon")]
    [InlineData(" folded")]
    [InlineData("\tfolded")]
    [InlineData("no colon")]
    [InlineData(": no name")]
    [InlineData("Na\u00efve: x")]
    [InlineData("X: a\rb")]
    [InlineData("X: a\0b")]
    [InlineData("X: a\u007fb")]
    public void What_two_readers_could_read_differently_is_malformed(params string[] more) =>
        Assert.Equal(UpgradeVerdict.Malformed, Read([.. Right, .. more]));

    [Theory]
    [InlineData("Sec-WebSocket-Key: ")]
    [InlineData("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ")]
    [InlineData("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=")]
    [InlineData("Sec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ==")]
    public void A_key_is_16_bytes_in_base64(string field) => Assert.Equal(UpgradeVerdict.Malformed, With(field));

    [Theory]
    [InlineData("Sec-WebSocket-Version: 8")]
    [InlineData("Sec-WebSocket-Version: 13, 8")]
    [InlineData("Sec-WebSocket-Version: 013")]
    public void Only_version_13_is_spoken(string field) => Assert.Equal(UpgradeVerdict.WrongVersion, With(field));

    [Theory]
    [InlineData("Sec-WebSocket-Protocol: chat")]
    [InlineData("Sec-WebSocket-Protocol: XMPP")]
    [InlineData("Sec-WebSocket-Protocol: xmpp2")]
    public void The_subprotocol_is_xmpp(string field) => Assert.Equal(UpgradeVerdict.NoSubprotocol, With(field));

    [Theory]
    [InlineData("GET /ws HTTP/1.0")]
    [InlineData("GET /ws HTTP/2.0")]
    [InlineData("GET /ws")]
    [InlineData("GET /ws HTTP/1.1 ")]
    [InlineData("GET /ws  HTTP/1.1")]
    [InlineData("GET /ws\u00e9 HTTP/1.1")]
    public void The_first_line_is_that_of_HTTP_1_1(string line) =>
        Assert.Equal(UpgradeVerdict.Malformed, UpgradeRequest.Read(Head(Right, line), out _));

    [Fact]
    public void More_than_a_hundred_fields_are_refused() =>
        Assert.Equal(UpgradeVerdict.Malformed, Read([.. Right, .. Enumerable.Repeat("X: y", 100)]));

    private static UpgradeVerdict With(string field) =>
        Read([.. Right.Where(right => !IsOf(right, field[..field.IndexOf(':')])), field]);

    private static UpgradeVerdict Read(string[] fields) => UpgradeRequest.Read(Head(fields), out _);

    private static bool IsOf(string field, string name) => field.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase);

    private static byte[] Head(string[] fields, string line = "GET /ws HTTP/1.1") =>
        Encoding.Latin1.GetBytes($"{line}\r\n{string.Concat(fields.Select(field => field + "\r\n"))}\r\n");
}
