using System.Text;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Web;

public sealed class HttpAnswerTests
{
    [Fact]
    public void The_key_of_RFC_6455_section_1_3_has_the_answer_that_stands_there() => Assert.Equal(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
        Switching("dGhlIHNhbXBsZSBub25jZQ=="u8));

    private static string Switching(ReadOnlySpan<byte> key)
    {
        byte[] answer = new byte[HttpAnswer.SwitchingLength];
        HttpAnswer.WriteSwitching(key, answer);
        return Encoding.ASCII.GetString(answer);
    }

    [Fact]
    public void A_refusal_says_in_words_what_is_wrong_and_ends_the_connection() => Assert.Equal(
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + "Content-Length: 79\r\nConnection: close\r\n\r\nXMPP is spoken here over a WebSocket (RFC 7395): connect with wss:// or ws://.\n",
        Encoding.ASCII.GetString(HttpAnswer.UpgradeRequired));
}
