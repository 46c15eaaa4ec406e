using System.Globalization;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>
/// The cases of the Autobahn testsuite, by their numbers, where they mean something to XMPP: the messages are elements then, which a hub
/// echoes. An element comes back with the namespace that its stream has declared. Those of sections 12 and 13 are about compression, which is
/// not agreed on; of binary messages (1.2, 9.2, 9.4, 9.6, 9.8) nothing more can be seen than that they are refused.
/// </summary>
public sealed class AutobahnTests(AutobahnTests.Echo echo) : IClassFixture<AutobahnTests.Echo>
{
    private const int More = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10;
    private const string Hello = "<m>Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!</m>";
    private const string Kosme = "<m>\u03ba\u03cc\u03c3\u03bc\u03b5</m>";

    private static readonly Dictionary<string, Case> All = Cases().ToDictionary(one => one.Number);

    public static TheoryData<string> Numbers => [.. All.Keys];

    [Theory]
    [MemberData(nameof(Numbers))]
    public async Task Each_case_is_answered_as_the_testsuite_wants_it(string number)
    {
        Case played = All[number];
        using BrowserConnection client = await BrowserConnection.UpgradedAsync(echo.Both.Clients);
        await client.SendTextAsync(BrowserConnection.Open);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());

        foreach (Step step in played.Steps)
        {
            Task sending = SendAsync(client, step, played.Piece);
            foreach (string expected in step.Expected) await AssertReceivesAsync(client, expected);
            await sending;
        }
    }

    private static async Task AssertReceivesAsync(BrowserConnection client, string expected)
    {
        if (expected.StartsWith("close", StringComparison.Ordinal))
        {
            await client.AssertClosesAsync(expected == "close" ? null : int.Parse(expected[6..], CultureInfo.InvariantCulture));
        }
        else if (expected.StartsWith("pong ", StringComparison.Ordinal))
        {
            (int opcode, bool final, byte[] payload) = await client.ReceiveFrameAsync();
            Assert.Equal((Pong, true, expected[5..]), (opcode, final, Convert.ToHexString(payload)));
        }
        else
        {
            await client.AssertTextAsync(expected);
        }
    }

    /// <summary>Sends the frames, in pieces of so many bytes. The other end may close the connection before it has all of them.</summary>
    private static async Task SendAsync(BrowserConnection client, Step step, int piece)
    {
        try
        {
            ReadOnlyMemory<byte> rest = step.Sent;
            for (; rest.Length > piece; rest = rest[piece..]) await client.SendAsync(rest[..piece]);
            await client.SendAsync(rest);
        }
        catch (IOException) when (step.Expected is [.., string last] && last.StartsWith("close", StringComparison.Ordinal))
        {
        }
    }

    private static IEnumerable<Case> Cases() =>
    [
        .. Sizes(), .. Pings(), .. ReservedBits(), .. Opcodes(), .. Fragments(), .. Utf8(), .. Closes(), .. Limits(),
    ];

    private static IEnumerable<Case> Sizes()
    {
        int[] lengths = [125, 126, 127, 128, 65_535, 65_536];
        yield return Alive("1.1.1", Frame(Text, []), []);
        yield return Closed("1.2.1", Frame(Binary, []), "close 1003");
        for (int i = 0; i < lengths.Length; i++) yield return Alive($"1.1.{i + 2}", Message(lengths[i]), [Echoed(lengths[i])]);
        yield return Alive("1.1.8", Message(65_536), [Echoed(65_536)], piece: 997);
        for (int i = 0; i < lengths.Length; i++) yield return Closed($"1.2.{i + 2}", Frame(Binary, new byte[lengths[i]]), "close 1003");
    }

    private static IEnumerable<Case> Pings()
    {
        byte[] bytes = [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF], most = new byte[125];
        most.AsSpan().Fill(0xFE);
        // One after the other: of pings that come together the last is answered, as section 5.5.3 allows.
        Step[] ten = [.. Enumerable.Range(0, 10).Select(number => new Step(Frame(Ping, [(byte)number]), [$"pong 0{number}"]))];
        yield return Alive("2.1", Frame(Ping, []), ["pong "]);
        yield return Alive("2.2", Frame(Ping, "Hello"u8), ["pong 48656C6C6F"]);
        yield return Alive("2.3", Frame(Ping, bytes), ["pong 00FFFEFDFCFB00FF"]);
        yield return Alive("2.4", Frame(Ping, most), [$"pong {Convert.ToHexString(most)}"]);
        yield return Refused("2.5", Frame(Ping, new byte[126]));
        yield return Alive("2.6", Frame(Ping, most), [$"pong {Convert.ToHexString(most)}"], piece: 1);
        yield return Alive("2.7", Frame(Pong, []), []);
        yield return Alive("2.8", Frame(Pong, "unsolicited"u8), []);
        yield return Alive("2.9", Bytes(Frame(Pong, "unsolicited"u8), Frame(Ping, "a"u8)), ["pong 61"]);
        yield return new("2.10", ten);
        yield return new("2.11", ten, Piece: 1);
    }

    private static IEnumerable<Case> ReservedBits()
    {
        yield return Refused("3.1", Frame(0x40 | Text, "<a/>"u8));
        yield return RefusedLater("3.2", Bytes(Frame(0x20 | Text, "<a/>"u8), Frame(Ping, [])));
        yield return RefusedLater("3.3", Bytes(Frame(0x30 | Text, "<a/>"u8), Frame(Ping, [])));
        yield return RefusedLater("3.4", Bytes(Frame(0x40 | Text, "<a/>"u8), Frame(Ping, [])), piece: 1);
        yield return Refused("3.5", Frame(0x50 | Binary, [0xFF]));
        yield return Refused("3.6", Frame(0x60 | Ping, "a"u8));
        yield return Refused("3.7", Frame(0x70 | Close, []));
    }

    private static IEnumerable<Case> Opcodes()
    {
        for (int i = 0; i < 5; i++)
        {
            byte[] data = Frame(3 + i, i % 2 == 0 ? [] : "reserved"u8), control = Frame(11 + i, i % 2 == 0 ? [] : "reserved"u8);
            yield return i < 2 ? Refused($"4.1.{i + 1}", data) : RefusedLater($"4.1.{i + 1}", Bytes(data, Frame(Ping, [])));
            yield return i < 2 ? Refused($"4.2.{i + 1}", control) : RefusedLater($"4.2.{i + 1}", Bytes(control, Frame(Ping, [])));
        }
    }

    private static IEnumerable<Case> Fragments()
    {
        byte[] two = Bytes(Part("<a>1", first: true), Frame(More, "2</a>"u8)), over = Bytes(Frame(More, "<b/>"u8), Message("<a/>"));
        byte[] pinged = Bytes(Part("<a>1", first: true), Frame(Ping, "p"u8), Frame(More, "2</a>"u8));
        byte[] openOver = Bytes(Part("<b/>"), Message("<a/>"));
        Step[] five =
        [
            new(Bytes(Part("<a>1", first: true), Part("2"), Frame(Ping, "p"u8)), ["pong 70"]),
            new(Bytes(Part("3"), Part("4"), Frame(Ping, "q"u8)), ["pong 71"]),
            new(Frame(More, "5</a>"u8), [Echoed("<a>12345</a>")]),
        ];
        yield return Refused("5.1", Bytes(Frame(Ping, "a"u8, final: false), Frame(More, "b"u8)));
        yield return Refused("5.2", Bytes(Frame(Pong, "a"u8, final: false), Frame(More, "b"u8)));
        yield return Alive("5.3", two, [Echoed("<a>12</a>")]);
        yield return Alive("5.4", two, [Echoed("<a>12</a>")], piece: 10);
        yield return Alive("5.5", two, [Echoed("<a>12</a>")], piece: 1);
        yield return Alive("5.6", pinged, ["pong 70", Echoed("<a>12</a>")]);
        yield return Alive("5.7", pinged, ["pong 70", Echoed("<a>12</a>")], piece: 10);
        yield return Alive("5.8", pinged, ["pong 70", Echoed("<a>12</a>")], piece: 1);
        yield return Refused("5.9", over);
        yield return Refused("5.10", over, piece: 10);
        yield return Refused("5.11", over, piece: 1);
        yield return Refused("5.12", openOver);
        yield return Refused("5.13", openOver, piece: 10);
        yield return Refused("5.14", openOver, piece: 1);
        yield return new("5.15", [new(two, [Echoed("<a>12</a>")]), new(openOver, ["close 1002"])]);
        yield return Refused("5.16", Bytes(Part("<b/>"), Part("<a>", first: true), Frame(More, "</a>"u8)));
        yield return Refused("5.17", Bytes(Frame(More, "<b/>"u8), Part("<a>", first: true), Frame(More, "</a>"u8)));
        yield return Refused("5.18", Bytes(Part("<a>", first: true), Frame(Text, "</a>"u8)));
        yield return new("5.19", five);
        yield return new("5.20", five, Piece: 1);
    }

    private static IEnumerable<Case> Utf8()
    {
        // Valid to RFC 6455; to RFC 7395, section 3.7, nothing that a client may send to show that it is there. Like white space it is passed over.
        yield return Alive("6.1.1", Frame(Text, []), []);
        yield return Alive("6.1.2", Bytes(Part("", first: true), Part(""), Frame(More, [])), []);
        yield return Alive("6.1.3", Bytes(Part("", first: true), Part("<a/>"), Frame(More, [])), [Echoed("<a/>")]);
        yield return Alive("6.2.1", Message(Hello), [Echoed(Hello)]);
        yield return Alive("6.2.2", Bytes(Part(Hello[..10], first: true), Frame(More, Encoding.UTF8.GetBytes(Hello[10..]))), [Echoed(Hello)]);
        yield return Alive("6.2.3", ByteByByte(Encoding.UTF8.GetBytes(Hello)), [Echoed(Hello)]);
        yield return Alive("6.2.4", ByteByByte(Encoding.UTF8.GetBytes(Kosme)), [Echoed(Kosme)]);
        byte[] mixed = [.. Encoding.UTF8.GetBytes(Kosme[..^4]), 0xED, 0xA0, 0x80, .. "edited</m>"u8];
        yield return new("6.3.1", [new(Frame(Text, mixed), ["close 1007"])]);
        yield return new("6.3.2", [new(ByteByByte(mixed), ["close 1007"])]);

        // What follows the first byte that is wrong is never sent.
        byte[] kosme = Encoding.UTF8.GetBytes(Kosme[..^4]), whole = Frame(Text, [.. kosme, 0xF4, 0x90, 0x80, 0x80, .. "edited</m>"u8]);
        int wrong = whole.Length - "edited</m>".Length - 4;
        yield return FailsFast("6.4.1", Frame(Text, kosme, final: false), Frame(More, [0xF4, 0x90, 0x80, 0x80], final: false));
        yield return FailsFast("6.4.2", Frame(Text, [.. kosme, 0xF4], final: false), Frame(More, [0x90], final: false));
        yield return FailsFast("6.4.3", whole[..wrong], whole[wrong..(wrong + 4)]);
        yield return FailsFast("6.4.4", whole[..(wrong + 1)], whole[(wrong + 1)..(wrong + 2)]);

        // By section, in the order of the testsuite.
        string[] valid =
        [
            "6.5 CEBA C3BC", "6.7 C280", "6.7 E0A080", "6.7 F0908080", "6.9 7F", "6.9 DFBF", "6.9 EFBFBD", "6.9 F48FBFBD", "6.11 ED9FBF",
            "6.11 EE8080", "6.11 EFBFBD", "6.22 F09FBFBE", "6.22 F48FBFBF", "6.23 EFBFB9", "6.23 EFBFBA", "6.23 EFBFBB", "6.23 EFBFBC", "6.23 EFBFBD",
        ];
        string[] invalid =
        [
            "6.6 CE", "6.6 CEBACF", "6.6 E1BD", "6.8 F888808080", "6.8 FC8480808080", "6.10 F7BFBFBF", "6.10 FBBFBFBFBF", "6.10 FDBFBFBFBFBF",
            "6.11 F4908080", "6.12 80", "6.12 BF", "6.12 80BF", "6.12 80BF80BF80BF80", "6.13 C020C120", "6.13 E020E120", "6.13 F020F120",
            "6.13 F820F920", "6.13 FC20", "6.14 C0", "6.14 E080", "6.14 F08080", "6.14 F8808080", "6.14 FC80808080", "6.14 DF", "6.14 EFBF",
            "6.14 F7BFBF", "6.14 FBBFBFBF", "6.14 FDBFBFBFBF", "6.15 C0E080F08080", "6.16 FE", "6.16 FF", "6.16 FEFEFFFF", "6.17 C0AF", "6.17 E080AF",
            "6.17 F08080AF", "6.17 F8808080AF", "6.17 FC80808080AF", "6.18 C1BF", "6.18 E09FBF", "6.18 F08FBFBF", "6.18 F887BFBFBF",
            "6.18 FC83BFBFBFBF", "6.19 C080", "6.19 E08080", "6.19 F0808080", "6.19 F880808080", "6.19 FC8080808080", "6.20 EDA080", "6.20 EDADBF",
            "6.20 EDAE80", "6.20 EDAFBF", "6.20 EDB080", "6.20 EDBE80", "6.20 EDBFBF", "6.21 EDA080EDB080", "6.21 EDA080EDBFBF", "6.21 EDADBFEDB080",
            "6.21 EDADBFEDBFBF", "6.21 EDAE80EDB080", "6.21 EDAE80EDBFBF", "6.21 EDAFBFEDB080", "6.21 EDAFBFEDBFBF",
        ];
        foreach (string one in valid)
        {
            byte[] bytes = OfHex(one);
            yield return Alive(one, Frame(Text, bytes), [Echoed(Encoding.UTF8.GetString(bytes))]);
        }

        foreach (string one in invalid) yield return new(one, [new(Frame(Text, OfHex(one)), ["close 1007"])]);
    }

    private static IEnumerable<Case> Closes()
    {
        byte[] normal = Frame(Close, [0x03, 0xE8]);
        yield return Alive("7.1.1", Message("<a/>"), [Echoed("<a/>")]);
        yield return Closed("7.1.2", Bytes(normal, normal), "close 1000");
        yield return Closed("7.1.3", Bytes(normal, Frame(Ping, [])), "close 1000");
        yield return Closed("7.1.4", Bytes(normal, Message("<a/>")), "close 1000");
        yield return Closed("7.1.5", Bytes(Part("<a>", first: true), normal, Frame(More, "</a>"u8)), "close 1000");
        yield return new("7.1.6", [new(Message(250_000), [Echoed(250_000)]), new(Bytes(normal, Frame(Ping, [])), ["close 1000"])]);
        yield return Closed("7.3.1", Frame(Close, []), "close");
        yield return Closed("7.3.2", Frame(Close, [0x61]), "close 1002");
        yield return Closed("7.3.3", normal, "close 1000");
        yield return Closed("7.3.4", Frame(Close, [0x03, 0xE8, .. "Hello"u8]), "close 1000");
        yield return Closed("7.3.5", Frame(Close, [0x03, 0xE8, .. Encoding.ASCII.GetBytes(new string('*', 123))]), "close 1000");
        yield return Closed("7.3.6", Frame(Close, [0x03, 0xE8, .. Encoding.ASCII.GetBytes(new string('*', 124))]), "close 1002");
        yield return Closed("7.5.1", Frame(Close, [0x03, 0xE8, .. "bye"u8, 0xED, 0xA0, 0x80]), "close 1007");
        int[] valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
        int[] invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
        for (int i = 0; i < valid.Length; i++) yield return Closed($"7.7.{i + 1}", CloseFrame(valid[i]), $"close {valid[i]}");
        for (int i = 0; i < invalid.Length; i++) yield return Closed($"7.9.{i + 1}", CloseFrame(invalid[i]), "close 1002");
        yield return Closed("7.13.1", CloseFrame(5000), "close 1002");
        yield return Closed("7.13.2", CloseFrame(65_535), "close 1002");
    }

    /// <summary>As far as MaxStanzaBytes goes, which is 256 KiB.</summary>
    private static IEnumerable<Case> Limits()
    {
        yield return Alive("9.1.1", Message(65_536), [Echoed(65_536)]);
        yield return Alive("9.1.2", Message(262_144), [Echoed(262_144)]);
        yield return new("9.1.3", [new(Message(1 << 20), ["close 1009"])]);
        int[] sizes = [64, 256, 1_024, 4_096, 16_384, 65_536];
        for (int i = 0; i < sizes.Length; i++)
        {
            yield return Alive($"9.3.{i + 1}", InFragments(Payload(262_144), sizes[i]), [Echoed(262_144)]);
            yield return Alive($"9.5.{i + 1}", Message(262_144), [Echoed(262_144)], piece: Math.Max(sizes[i], 256));
        }

        yield return new("9.3.7", [new(InFragments(Payload(1 << 20), 65_536), ["close 1009"])]);
        int[] lengths = [7, 16, 64, 256, 1_024];
        for (int i = 0; i < lengths.Length; i++)
        {
            Step step = new(Message(lengths[i]), [Echoed(lengths[i])]);
            yield return new($"9.7.{i + 1}", [.. Enumerable.Repeat(step, 200)]);
        }
    }

    /// <summary>What is answered like that, and the WebSocket is sound afterwards.</summary>
    private static Case Alive(string number, byte[] sent, string[] expected, int piece = int.MaxValue) =>
        new(number, [new(sent, expected), new(CloseFrame(1000), ["close 1000"])], piece);

    /// <summary>What is refused in the middle of a message.</summary>
    private static Case FailsFast(string number, byte[] valid, byte[] invalid) => new(number, [new(valid, []), new(invalid, ["close 1007"])]);

    private static Case Closed(string number, byte[] sent, string expected) => new(number, [new(sent, [expected])]);

    private static Case Refused(string number, byte[] sent, int piece = int.MaxValue) => new(number, [new(sent, ["close 1002"])], piece);

    /// <summary>What is refused after a message that is not.</summary>
    private static Case RefusedLater(string number, byte[] sent, int piece = int.MaxValue) =>
        new(number, [new(Message("<a/>"), [Echoed("<a/>")]), new(sent, ["close 1002"])], piece);

    private static byte[] Frame(int opcode, ReadOnlySpan<byte> payload, bool final = true) => BrowserConnection.Frame(opcode, payload, final);

    private static byte[] Part(string text, bool first = false) => Frame(first ? Text : More, Encoding.UTF8.GetBytes(text), final: false);

    private static byte[] Message(string text) => BrowserConnection.Text(text);

    private static byte[] Message(int length) => Frame(Text, Payload(length));

    /// <summary>An element of that many bytes.</summary>
    private static byte[] Payload(int length) => Encoding.ASCII.GetBytes($"<m>{new string('*', length - 7)}</m>");

    private static byte[] CloseFrame(int code) => Frame(Close, [(byte)(code >> 8), (byte)code]);

    private static byte[] ByteByByte(byte[] payload) => InFragments(payload, 1);

    private static byte[] InFragments(byte[] payload, int size) => Bytes([.. payload.Chunk(size).Select(
        (part, i) => Frame(i == 0 ? Text : More, part, final: (i + 1) * size >= payload.Length))]);

    /// <summary>The bytes behind the section's number, within an element.</summary>
    private static byte[] OfHex(string numbered) =>
        [.. "<m>"u8, .. Convert.FromHexString(string.Concat(numbered.Split(' ')[1..])), .. "</m>"u8];

    private static byte[] Bytes(params byte[][] frames) => [.. frames.SelectMany(frame => frame)];

    private static string Echoed(int length) => Echoed(Encoding.ASCII.GetString(Payload(length)));

    private static string Echoed(string element) => $"{element[..2]} xmlns='jabber:client'{element[2..]}";

    /// <summary>What is sent at once, and what comes then: messages, <c>pong HEX</c>, <c>close CODE</c>.</summary>
    private sealed record Step(byte[] Sent, string[] Expected);

    private sealed record Case(string Number, Step[] Steps, int Piece = int.MaxValue);

    /// <summary>An ECM for the web, and a hub that echoes.</summary>
    public sealed class Echo : IAsyncLifetime
    {
        internal MegaphoneProcess Both { get; private set; } = null!;

        public async Task InitializeAsync() => Both = await MegaphoneProcess.BothAsync("Ecm:Clients:0:Framing=web", "Hub:Backend=echo:");

        public Task DisposeAsync()
        {
            Both.Dispose();
            return Task.CompletedTask;
        }
    }
}
