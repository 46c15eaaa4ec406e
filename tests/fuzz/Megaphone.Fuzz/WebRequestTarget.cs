using System.Text;
using System.Text.RegularExpressions;
using Megaphone.Web;

namespace Megaphone.Fuzz;

/// <summary>
/// The head of a connection's first request: known in the same way however it arrives, nothing that follows it taken for a part of it, and
/// accepted as a WebSocket's only where a strict reading of RFC 9112 and RFC 6455, written for this test, accepts it too.
/// </summary>
internal static partial class WebRequestTarget
{
    private static readonly string[] Once = ["host", "sec-websocket-key", "sec-websocket-version"];

    public static void Run(byte[] input)
    {
        CutStream stream = CutStream.Parse(input);
        (HeadProgress progress, int length) = Examine(stream.Bytes, CutStream.Single);
        Property.Holds((progress, length) == Examine(stream.Bytes, stream.Lengths), "a head is known in the same way however it arrives");
        if (progress != HeadProgress.Whole) return;

        byte[] head = stream.Bytes[..length];
        string text = Encoding.Latin1.GetString(head);
        Property.Holds(length <= RequestHead.MaxBytes, "no head is longer than allowed");
        Property.Holds(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) == length - 4, "a head ends with its first empty line");
        UpgradeVerdict verdict = UpgradeRequest.Read(head, out UpgradeRequest request);
        Property.Holds(
            (verdict == UpgradeVerdict.Accepted) == IsUpgrade(text), $"a WebSocket's request is one that a strict reader accepts: {verdict}");
        if (verdict != UpgradeVerdict.Accepted) return;

        Property.Holds(Key().IsMatch(Encoding.ASCII.GetString(request.Key)), "a key is 16 bytes in base64");
        byte[] room = new byte[HttpAnswer.SwitchingLength];
        HttpAnswer.WriteSwitching(request.Key, room);
        string answer = Encoding.ASCII.GetString(room);
        Property.Holds(answer.Count(character => character == '\n') == 6, "an answer has the lines that it has, and none of the client's");
    }

    private static (HeadProgress Progress, int Length) Examine(byte[] bytes, int[] lengths)
    {
        (HeadProgress progress, int length, int arrived) = (HeadProgress.Incomplete, 0, 0);
        CutStream.Feed(bytes, lengths, part =>
        {
            progress = RequestHead.Examine(bytes.AsSpan(0, arrived + part.Count), arrived, "/ws"u8, out length);
            arrived += part.Count;
            return progress == HeadProgress.Incomplete;
        });
        return (progress, length);
    }

    private static bool IsUpgrade(string head)
    {
        string[] lines = head.Split("\r\n")[..^2];
        if (!Line().IsMatch(lines[0]) || lines.Length > 101 || !lines[1..].All(line => Field().IsMatch(line))) return false;
        ILookup<string, string> fields = lines[1..].ToLookup(
            line => line[..line.IndexOf(':')].ToLowerInvariant(), line => line[(line.IndexOf(':') + 1)..].Trim(' ', '\t'));
        return Once.All(name => fields[name].Count() == 1)
            && fields["origin"].Count() <= 1 && !fields.Contains("content-length") && !fields.Contains("transfer-encoding")
            && Has("upgrade", "websocket", StringComparison.OrdinalIgnoreCase) && Has("connection", "upgrade", StringComparison.OrdinalIgnoreCase)
            && Has("sec-websocket-protocol", "xmpp", StringComparison.Ordinal)
            && fields["sec-websocket-version"].Single() == "13" && Key().IsMatch(fields["sec-websocket-key"].Single());

        bool Has(string name, string member, StringComparison comparison) =>
            fields[name].SelectMany(value => value.Split(',')).Any(one => one.Trim(' ', '\t').Equals(member, comparison));
    }

    [GeneratedRegex(@"\AGET /ws(\?[!-~]*)? HTTP/1\.1\z")]
    private static partial Regex Line();

    [GeneratedRegex(@"\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7E\x80-\xFF]*\z")]
    private static partial Regex Field();

    [GeneratedRegex(@"\A[A-Za-z0-9+/]{21}[AQgw]==\z")]
    private static partial Regex Key();
}
