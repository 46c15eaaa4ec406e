using System.Text;
using Megaphone.Bench;
using Megaphone.Tests.Web;
using Xunit;

namespace Megaphone.Tests.Bench;

/// <summary>What clients of the load generator send over a WebSocket, as a server reads it.</summary>
public sealed class ClientFrameTests
{
    private static readonly byte[] Header = LoginMachine.HeaderTo("capulet.example");

    [Theory]
    [InlineData("<presence/>", "Message: <presence xmlns='jabber:client'/>")]
    [InlineData("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>a</auth>", "Message: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>a</auth>")]
    [InlineData("</stream:stream>", "Message: <close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />")]
    [InlineData(" ", "Ping: ")]
    [InlineData("", "Close: \u0003\u00e8")]
    public void Each_part_of_a_stream_is_a_frame_that_stands_for_it(string piece, string read) =>
        Assert.Equal([read], Read(Encoding.UTF8.GetBytes(piece)));

    [Fact]
    public void A_header_is_sent_as_open_with_its_attributes() => Assert.Equal(
        ["Message: <open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" to='capulet.example' version='1.0' />"], Read(Header));

    [Theory]
    [InlineData(4)]
    [InlineData(125)]
    [InlineData(126)]
    [InlineData(60_500)]
    public void Elements_of_any_length_are_masked_as_a_server_removes_it(int length)
    {
        string element = $"<a xmlns='b'>{new string('x', Math.Max(0, length - 17))}</a>";
        Assert.Equal([$"Message: {element}"], Read(Encoding.UTF8.GetBytes(element)));
    }

    [Fact]
    public void A_ping_is_answered_with_what_was_in_it()
    {
        byte[] room = new byte[4 + ClientFrame.MostMore];
        Assert.Equal(
            new byte[] { 0x8A, 0x84, 1, 2, 3, 4, (byte)('p' ^ 1), (byte)('i' ^ 2), (byte)('n' ^ 3), (byte)('g' ^ 4) },
            ClientFrame.WritePong("ping"u8, 0x04030201, room).ToArray());
    }

    private static IReadOnlyList<string> Read(byte[] piece)
    {
        byte[] room = new byte[piece.Length + ClientFrame.MostMore];
        return FrameReading.Of(ClientFrame.Write(piece, 0xC3D2E1F0, room).ToArray()).Found;
    }
}
