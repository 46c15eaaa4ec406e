using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Protocol;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Protocol;

/// <summary>Section 4 of the link protocol: which content is a control message, and which is a protocol error.</summary>
public class ControlReaderTests
{
    private const string LargestId = "18446744073709551615";

    [Fact]
    public void Every_protocol_error_is_named()
    {
        string[] contents =
        [
            "",
            "{",
            "{}{}",
            "[]",
            "null",
            "7",
            "\"hello\"",
            "{'op':'ping'}",
            """{"op":"ping",}""",
            """{"op":"ping"} x""",
            "{\"op\":\"ping\",\n\"token\":tru}",
            "{\"op\":\"ping\",\"token\":" + new string('[', 16) + new string(']', 16) + "}",
            "{\"op\":\"ping\",\"token\":\"" + new string('x', ControlMessage.MaxBytes) + "\"}",
            "{}",
            """{"Op":"ping"}""",
            """{"op":null}""",
            """{"op":1}""",
            """{"op":"\ud800"}""",
            """{"\ud800":1,"op":"ping"}""",
            """{"op":"hello"}""",
            """{"op":"hello","version":null}""",
            """{"op":"hello","version":"1"}""",
            """{"op":"hello","version":1.5}""",
            """{"op":"hello","version":0}""",
            """{"op":"hello","version":1,"name":7}""",
            """{"op":"hello","version":1,"secret":["a"]}""",
            """{"op":"hello","version":1,"framing":"Bytes"}""",
            """{"op":"hello","version":1,"framing":1}""",
            """{"op":"hello","version":1,"maxPacket":31}""",
            """{"op":"hello","version":1,"maxPacket":1e99}""",
            """{"op":"welcome"}""",
            """{"op":"welcome","version":1,"keepAlive":0}""",
            """{"op":"welcome","version":1,"keepAlive":1e-99}""",
            """{"op":"welcome","version":1,"keepAlive":"15"}""",
            """{"op":"refuse","reason":{}}""",
            """{"op":"pause"}""",
            """{"op":"pause","id":null}""",
            """{"op":"pause","id":7}""",
            """{"op":"resume","id":""}""",
            """{"op":"resume","id":"0"}""",
            """{"op":"resume","id":"+7"}""",
            """{"op":"resume","id":"-7"}""",
            """{"op":"resume","id":" 7"}""",
            """{"op":"resume","id":"7 "}""",
            """{"op":"resume","id":"7\u0000"}""",
            """{"op":"resume","id":"٧"}""",
            """{"op":"resume","id":"0x7"}""",
            """{"op":"reset","id":"18446744073709551616"}""",
            """{"op":"reset","id":"7","reason":7}""",
            """{"op":"loggedIn"}""",
            """{"op":"loggedIn","ids":"7"}""",
            """{"op":"loggedIn","ids":[7]}""",
            """{"op":"loggedIn","ids":["7","0"]}""",
            """{"op":"loggedIn","ids":["7","\ud800"]}""",
            """{"op":"welcome","version":1,"logins":"yes"}""",
            """{"op":"welcome","version":1,"pieces":1}""",
            """{"op":"drain","after":-1}""",
            """{"op":"drain","after":true}""",
        ];

        StringBuilder text = new();
        foreach (string content in contents)
        {
            Assert.False(ControlReader.TryRead(Encoding.UTF8.GetBytes(content), out _, out string? problem), content);
            string shown = content.Length switch { 0 => "(nothing)", > 80 => content[..80] + "…", _ => content };
            text.Append(shown.Replace("\n", "\\n", StringComparison.Ordinal)).Append('\n');
            text.Append("    ").Append(problem).Append('\n');
        }

        Snapshot.Match(text.ToString());
    }

    [Fact]
    public void A_server_says_that_it_tells_of_logins_and_who_has_logged_in()
    {
        Assert.True(ControlReader.TryRead("""{"op":"welcome","version":1,"logins":true}"""u8, out ControlMessage? welcome, out _));
        Assert.True(welcome.Logins);
        byte[] content = Encoding.UTF8.GetBytes($$"""{"op":"loggedIn","ids":["7","{{LargestId}}"]}""");
        Assert.True(ControlReader.TryRead(content, out ControlMessage? loggedIn, out _));
        Assert.Equal([7, ulong.MaxValue], loggedIn.Ids);
        Assert.Equal(content, loggedIn.ToUtf8());
    }

    [Fact]
    public void A_server_says_that_its_packets_are_pieces()
    {
        byte[] content = [.. """{"op":"welcome","version":1,"pieces":true}"""u8];
        Assert.True(ControlReader.TryRead(content, out ControlMessage? welcome, out _));
        Assert.True(welcome.Pieces);
        Assert.Equal(0, welcome.Ignored);
        Assert.Equal(content, welcome.ToUtf8());
    }

    [Fact]
    public void Invalid_utf8_is_a_protocol_error()
    {
        byte[] content = [.. "{\"op\":\"ping\",\"token\":\""u8, 0xC3, .. "\"}"u8];

        Assert.False(ControlReader.TryRead(content, out _, out string? problem));
        Assert.Equal("a control packet's content must be UTF-8", problem);
    }

    [Fact]
    public void A_hello_needs_only_its_version() => Assert.Equal(
        new ControlMessage { Op = ControlOp.Hello, Version = 1, Framing = LinkFraming.Bytes },
        Read("""{"op":"hello","version":1}"""));

    [Fact]
    public void An_unsupported_version_can_be_read() =>
        Assert.Equal(2, Read("""{"op":"hello","version":2}""").Version);

    [Fact]
    public void Numbers_above_the_range_are_read_as_the_largest()
    {
        Assert.Equal(int.MaxValue, Read("""{"op":"hello","version":1,"maxPacket":9999999999}""").MaxPacket);
        Assert.Equal(TimeSpan.FromSeconds(int.MaxValue), Read("""{"op":"drain","after":1e300}""").After);
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("00000000000000000007", 7)]
    [InlineData(LargestId, ulong.MaxValue)]
    public void Ids_are_decimal_strings(string text, ulong id) =>
        Assert.Equal(id, Read($$"""{"op":"pause","id":"{{text}}"}""").Id);

    [Fact]
    public void Unknown_ops_are_not_an_error_whatever_their_members()
    {
        ControlMessage message = Read("""{"op":"dance","id":{},"version":"x","token":1}""");

        Assert.Equal(ControlOp.Unknown, message.Op);
        Assert.Equal(3, message.Ignored);
    }

    [Theory]
    [InlineData("unknown")]
    [InlineData("Hello")]
    [InlineData("")]
    public void Ops_are_case_sensitive(string op) =>
        Assert.Equal(ControlOp.Unknown, Read($$"""{"op":"{{op}}"}""").Op);

    [Fact]
    public void Members_that_the_op_does_not_have_are_ignored_and_counted()
    {
        ControlMessage message = Read("""{"op":"pause","id":"7","reason":5,"colour":"red","Id":"8"}""");

        Assert.Equal(new ControlMessage { Op = ControlOp.Pause, Id = 7, Ignored = 3 }, message);
    }

    [Fact]
    public void Of_two_members_of_one_name_the_last_counts() =>
        Assert.Equal(new ControlMessage { Op = ControlOp.Resume, Id = 2 }, Read("""{"op":"pause","id":"1","op":"resume","id":"2"}"""));

    [Fact]
    public void White_space_and_escapes_are_accepted() => Assert.Equal(
        new ControlMessage { Op = ControlOp.Pause, Id = 7 },
        Read(" {\r\n\t\"\\u006fp\" : \"paus\\u0065\" , \"id\" : \"\\u0037\" }\n"));

    [Fact]
    public void Content_of_4096_bytes_is_accepted() =>
        Assert.Equal(ControlOp.Ping, Read("{\"op\":\"ping\"}" + new string(' ', ControlMessage.MaxBytes - 13)).Op);

    [Fact]
    public void Any_input_is_read_or_refused_and_never_throws()
    {
        Gen<byte[]> noise = Gen.Choose(0, 255).Select(value => (byte)value).ArrayOf();
        Gen<byte[]> nearlyRight = Gen.Elements(
                "{", "}", "[", "]", ",", ":", "\"op\"", "\"id\"", "\"version\"", "\"pause\"", "\"hello\"", "\"7\"",
                "1", "null", "\"\\ud800\"", "\"keepAlive\"", "-1e999", " ", "\"token\"", "\"")
            .ArrayOf().Select(words => Encoding.UTF8.GetBytes("{\"op\":" + string.Concat(words)));

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(5_000),
            Prop.ForAll(Arb.From(Gen.OneOf(noise, nearlyRight)), content =>
                ControlReader.TryRead(content, out ControlMessage? message, out string? problem)
                    ? message is not null && problem is null
                    : message is null && problem is not null));
    }

    private static ControlMessage Read(string json)
    {
        byte[] content = Encoding.UTF8.GetBytes(json);
        bool read = ControlReader.TryRead(content, out ControlMessage? message, out string? problem);
        Assert.True(read, problem);
        return message!;
    }
}
