using System.Text;
using Megaphone.Bench;
using Megaphone.Values;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Bench;

/// <summary>The load generator's side of a WebSocket's opening handshake.</summary>
public sealed class WebHandshakeTests
{
    private readonly WebHandshake _handshake = new(new HostPort("capulet.example", 5443), "/xmpp/ws");

    [Fact]
    public void The_service_accepts_the_request_and_its_answer_is_the_right_one()
    {
        byte[] request = _handshake.Request(7);
        Assert.StartsWith("GET /xmpp/ws HTTP/1.1\r\nHost: capulet.example:5443\r\n", Encoding.ASCII.GetString(request));
        Assert.Equal(HeadProgress.Whole, RequestHead.Examine(request, 0, "/xmpp/ws"u8, out int length));
        Assert.Equal(request.Length, length);
        Assert.Equal(UpgradeVerdict.Accepted, UpgradeRequest.Read(request, out _));
        Assert.Null(_handshake.Check(7, AnswerTo(7)));
    }

    [Fact]
    public void Each_connection_has_a_key_of_its_own() =>
        Assert.Equal("the server's Sec-WebSocket-Accept does not answer the request", _handshake.Check(8, AnswerTo(7)));

    [Theory]
    [InlineData("HTTP/1.1 101 Switching Protocols", "HTTP/1.1 404 Not\u0001Found", "no WebSocket, the server answers: HTTP/1.1 404 Not?Found")]
    [InlineData("Upgrade: websocket", "Upgrade: h2c", "the server answers as if it upgraded a connection, but not to a WebSocket")]
    [InlineData("Connection: Upgrade", "Connection: close", "the server answers as if it upgraded a connection, but not to a WebSocket")]
    [InlineData("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: a", "the server's Sec-WebSocket-Accept does not answer the request")]
    [InlineData("Sec-WebSocket-Protocol: xmpp", "X: y", "the server does not choose the subprotocol xmpp")]
    public void Any_other_answer_is_a_problem(string right, string wrong, string problem) => Assert.Equal(
        problem, _handshake.Check(7, Encoding.ASCII.GetBytes(Encoding.ASCII.GetString(AnswerTo(7)).Replace(right, wrong, StringComparison.Ordinal))));

    /// <summary>What the service answers, without the empty line.</summary>
    private byte[] AnswerTo(int index)
    {
        UpgradeRequest.Read(_handshake.Request(index), out UpgradeRequest request);
        byte[] answer = new byte[HttpAnswer.SwitchingLength];
        HttpAnswer.WriteSwitching(request.Key, answer);
        return answer[..^4];
    }
}
