using System.Net;
using System.Text;

namespace Megaphone.Web;

/// <summary>What a proxy that speaks HTTP says of its client: <c>X-Forwarded-For</c> and <c>X-Forwarded-Proto</c>.</summary>
internal static class ForwardedFor
{
    /// <summary>The longest text of an address with a port: IPv6 with IPv4 in it and a scope is shorter.</summary>
    private const int LongestAddress = 64;

    /// <summary>Finds the client: the last address that is no proxy's, looking from the proxy that has connected backwards.</summary>
    /// <param name="head">A whole head that is not malformed.</param>
    /// <param name="trusted">The networks of proxies that are believed.</param>
    /// <param name="trustsUnix">Whether a proxy that has connected over a Unix socket is believed.</param>
    /// <param name="peer">Who has connected; null: somebody over a Unix socket.</param>
    /// <param name="speaksTls">What the last proxy says about whether the client speaks TLS; null: nothing, or it is not believed.</param>
    /// <returns>The client; the peer itself if nobody says otherwise who is believed. What is no address ends the search.</returns>
    public static IPAddress? Find(
        ReadOnlySpan<byte> head, IReadOnlyList<IPNetwork> trusted, bool trustsUnix, IPAddress? peer, out bool? speaksTls)
    {
        speaksTls = null;
        if (!Trusts(trusted, trustsUnix, peer)) return peer;
        List<string> hops = [];
        RequestHead.TryRead(head, out RequestHead fields);
        while (fields.Next())
        {
            if (Ascii.EqualsIgnoreCase(fields.Name, "x-forwarded-for"u8)) hops.AddRange(Encoding.Latin1.GetString(fields.Value).Split(','));
            else if (Ascii.EqualsIgnoreCase(fields.Name, "x-forwarded-proto"u8)) speaksTls = ReadProtocol(fields.Value) ?? speaksTls;
        }

        IPAddress? client = peer;
        for (int i = hops.Count - 1; i >= 0 && Trusts(trusted, trustsUnix, client) && ReadAddress(hops[i]) is { } hop; i--) client = hop;
        return client;
    }

    private static bool Trusts(IReadOnlyList<IPNetwork> trusted, bool trustsUnix, IPAddress? address)
    {
        if (address is null) return trustsUnix;
        foreach (IPNetwork network in trusted)
        {
            if (network.Contains(address)) return true;
        }

        return false;
    }

    private static bool? ReadProtocol(ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> last = value[(value.LastIndexOf((byte)',') + 1)..].Trim(HttpBytes.WhiteSpace);
        if (Ascii.EqualsIgnoreCase(last, "https"u8) || Ascii.EqualsIgnoreCase(last, "wss"u8)) return true;
        return Ascii.EqualsIgnoreCase(last, "http"u8) || Ascii.EqualsIgnoreCase(last, "ws"u8) ? false : null;
    }

    /// <summary><c>192.0.2.7</c>, <c>2001:db8::7</c>, and either with a port: <c>192.0.2.7:5000</c>, <c>[2001:db8::7]:5000</c>.</summary>
    private static IPAddress? ReadAddress(string hop)
    {
        string text = hop.Trim();
        if (text.Length is 0 or > LongestAddress || !IPEndPoint.TryParse(text, out IPEndPoint? endPoint)) return null;

        // The framework takes 7 for 0.0.0.7, and a scope, which is only the proxy's to understand.
        bool isV4 = endPoint.Address.GetAddressBytes().Length == 4;
        if (isV4 ? text.Count(character => character == '.') != 3 : text.Contains('%')) return null;
        return endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
    }
}
