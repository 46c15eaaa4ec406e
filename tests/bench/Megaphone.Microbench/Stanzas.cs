using System.Text;

namespace Megaphone.Microbench;

/// <summary>Stanzas of 1 KiB such as people's clients send: what the splitter is measured with.</summary>
internal static class Stanzas
{
    /// <summary>Bytes of each stanza.</summary>
    public const int Bytes = 1024;

    /// <summary>A stream header, then messages with a body and what usual clients put beside it, each different.</summary>
    public static byte[] Stream(int count)
    {
        StringBuilder stream = new(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>");
        for (int i = 0; i < count; i++) stream.Append(Message(i));
        return Encoding.ASCII.GetBytes(stream.ToString());
    }

    private static string Message(int number)
    {
        string begin =
            $"<message xml:lang='en' to='juliet{number:D5}@example.org/balcony' from='romeo@example.net/orchard' type='chat' id='{number:x8}-84a5'>"
            + "<body>";
        string end =
            "</body>"
            + "<active xmlns='http://jabber.org/protocol/chatstates'/>"
            + "<request xmlns='urn:xmpp:receipts'/>"
            + $"<origin-id xmlns='urn:xmpp:sid:0' id=\"de305d54-75b4-431b-adb2-{number:x12}\"/>"
            + "<markable xmlns='urn:xmpp:chat-markers:0'/>"
            + "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>"
            + "<p style='font-weight:bold'>Wherefore <em>art</em> thou &quot;Romeo&quot;?</p></body></html>"
            + "<x xmlns='jabber:x:oob'><url>https://upload.example.org/4a/771ac1f0.jpg</url></x>"
            + "<store xmlns='urn:xmpp:hints'/></message>";
        StringBuilder body = new();
        while (begin.Length + body.Length + end.Length < Bytes) body.Append("Neither, fair saint, if either thee dislike. ");
        body.Length = Bytes - begin.Length - end.Length;
        return begin + body + end;
    }
}
