using System.Text;
using System.Text.Json;
using Megaphone.Protocol;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Protocol;

/// <summary>Section 4 of the link protocol: the form of control messages.</summary>
public class ControlMessageTests
{
    [Fact]
    public void Each_op_has_its_own_members_in_the_order_of_the_protocol()
    {
        ControlMessage[] messages =
        [
            ControlMessage.Hello("ecm-1", "open sesame", LinkFraming.Bytes, 1 << 20),
            ControlMessage.Hello("ecm-1", null, LinkFraming.Stanza, 1 << 20),
            ControlMessage.Welcome("hub-1", 1 << 20, TimeSpan.FromSeconds(15)),
            ControlMessage.Welcome("hub-1", 1 << 20, TimeSpan.FromMilliseconds(250)),
            ControlMessage.Refuse("the secret is \"wrong\""),
            ControlMessage.Ping(42),
            ControlMessage.Pong(Read("""{"op":"ping","token":{"a" : [1.50, "\u00e9é", null]}}""")),
            ControlMessage.Pong(Read("""{"op":"ping"}""")),
            ControlMessage.Drain(TimeSpan.Zero),
            ControlMessage.Drain(TimeSpan.FromSeconds(10)),
        ];

        Snapshot.Match(string.Join('\n', messages.Select(message => Encoding.UTF8.GetString(message.ToUtf8()))));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("0.10")]
    [InlineData("-1E+2")]
    [InlineData("12345678901234567890123")]
    [InlineData("\"\\u0041\\/é\"")]
    [InlineData("[ 1 ,{ } ]")]
    public void A_token_is_returned_unchanged(string token)
    {
        ControlMessage pong = ControlMessage.Pong(Read($$"""{ "token" : {{token}} , "op" : "ping" }"""));

        Assert.Equal($$"""{"op":"pong","token":{{token}}}""", Encoding.UTF8.GetString(pong.ToUtf8()));
    }

    [Fact]
    public void A_secret_is_sent_but_not_printed()
    {
        ControlMessage hello = ControlMessage.Hello("ecm-1", "open sesame", LinkFraming.Bytes, 4096);

        Assert.Contains("open sesame", Encoding.UTF8.GetString(hello.ToUtf8()));
        Assert.DoesNotContain("sesame", hello.ToString());
        Assert.Contains("***", hello.ToString());
    }

    [Theory]
    [InlineData("x")]
    [InlineData("é")]
    [InlineData("𝄞")]
    [InlineData("x𝄞")]
    [InlineData("\"")]
    public void A_too_long_reason_is_cut_between_two_characters(string character)
    {
        string reason = string.Concat(Enumerable.Repeat(character, 5_000));

        byte[] bytes = ControlMessage.Refuse(reason).ToUtf8();

        Assert.InRange(bytes.Length, ControlMessage.MaxBytes - 13, ControlMessage.MaxBytes);
        string kept = Read(Encoding.UTF8.GetString(bytes)).Reason!;
        Assert.StartsWith(kept, reason, StringComparison.Ordinal);
        Assert.False(char.IsHighSurrogate(kept[^1]));
    }

    [Fact]
    public void A_message_that_is_too_long_without_its_reason_throws()
    {
        ControlMessage hello = ControlMessage.Hello(new string('n', 5_000), null, LinkFraming.Bytes, 4096);
        Assert.Throws<InvalidOperationException>(hello.ToUtf8);
    }

    [Fact]
    public void Written_messages_can_be_read()
    {
        ControlMessage[] messages =
        [
            ControlMessage.Hello("ecm-1", "open sesame", LinkFraming.Stanza, 1 << 20),
            ControlMessage.Welcome("hub-1", 1 << 20, TimeSpan.FromMilliseconds(250)),
            ControlMessage.Refuse("é𝄞 \"\\\n"),
            ControlMessage.Ping(long.MinValue),
            ControlMessage.Drain(TimeSpan.FromSeconds(10)),
        ];

        Assert.All(messages, message => Assert.Equal(message, Read(Encoding.UTF8.GetString(message.ToUtf8()))));
    }

    [Fact]
    public void Every_message_is_valid_json()
    {
        using JsonDocument json = JsonDocument.Parse(ControlMessage.Refuse("no").ToUtf8());
        Assert.Equal("no", json.RootElement.GetProperty("reason").GetString());
    }

    private static ControlMessage Read(string json)
    {
        byte[] content = Encoding.UTF8.GetBytes(json);
        bool read = ControlReader.TryRead(content, out ControlMessage? message, out string? problem);
        Assert.True(read, problem);
        return message!;
    }
}
