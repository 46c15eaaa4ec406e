using System.Text;
using System.Text.RegularExpressions;

namespace Megaphone.Attacks;

/// <summary>The login of an attacker whose TLS is made by hand: it reads only what it waits for, and nothing afterwards.</summary>
internal static partial class HandmadeLogin
{
    /// <summary>Logs in over TLS 1.3.</summary>
    /// <returns>Its full address.</returns>
    public static Task<string> MakeAsync(HandmadeTls tls) =>
        MakeAsync(text => tls.SendAsync(HandmadeTls.ApplicationData, Encoding.ASCII.GetBytes(text)), () => tls.ReceiveAsync(1));

    /// <summary>Logs in over TLS 1.2.</summary>
    /// <returns>Its full address.</returns>
    public static Task<string> MakeAsync(HandmadeTls12 tls) => MakeAsync(
        text => tls.SendAsync(HandmadeTls.ApplicationData, Encoding.ASCII.GetBytes(text)),
        async () => await tls.ReceiveRecordsAsync(1) is [(HandmadeTls.ApplicationData, byte[] content)]
            ? content
            : throw new EndOfStreamException("The connection ended within a login."));

    private static async Task<string> MakeAsync(Func<string, Task> send, Func<Task<byte[]>> receive)
    {
        string heard = "";

        async Task<string> AskAsync(string text, string answer)
        {
            await send(text);
            while (!heard.Contains(answer, StringComparison.Ordinal)) heard += Encoding.Latin1.GetString(await receive());
            (string until, heard) = (heard, "");
            return until;
        }

        await AskAsync(XmppClient.Header, "</stream:features>");
        await AskAsync("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", "<success");
        await AskAsync(XmppClient.Header, "</stream:features>");
        string bound = await AskAsync("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>");
        await AskAsync("<presence/>", "<presence");
        return Address().Match(bound).Groups[1].Value;
    }

    [GeneratedRegex("<jid>([^<]+)</jid>")]
    private static partial Regex Address();
}
