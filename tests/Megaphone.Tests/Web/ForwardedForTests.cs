using System.Net;
using System.Text;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Web;

/// <summary>Whom proxies name, and who is believed.</summary>
public sealed class ForwardedForTests
{
    private static readonly IPNetwork[] Proxies = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("2001:db8:1::/48")];

    [Theory]
    [InlineData("203.0.113.7", "203.0.113.7")]
    [InlineData("203.0.113.7:4711", "203.0.113.7")]
    [InlineData("2001:db8::7", "2001:db8::7")]
    [InlineData("[2001:db8::7]:4711", "2001:db8::7")]
    [InlineData("::ffff:203.0.113.7", "203.0.113.7")]
    [InlineData("198.51.100.1, 203.0.113.7", "203.0.113.7")]
    [InlineData("198.51.100.1, 203.0.113.7 ,10.1.2.3", "203.0.113.7")]
    [InlineData("203.0.113.7, 2001:db8:1::1, 10.1.2.3", "203.0.113.7")]
    public void The_client_is_the_last_address_that_is_no_proxys(string field, string client) =>
        Assert.Equal(client, Find("10.0.0.1", $"X-Forwarded-For: {field}").ToString());

    [Fact]
    public void Fields_continue_each_other() =>
        Assert.Equal("203.0.113.7", Find("10.0.0.1", "X-Forwarded-For: 203.0.113.7", "x-forwarded-for: 10.2.2.2").ToString());

    [Fact]
    public void Who_is_not_trusted_is_the_client_whatever_he_says()
    {
        Assert.Equal("192.0.2.1", Find("192.0.2.1", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https").ToString());
        ForwardedFor.Find(Head("X-Forwarded-Proto: https"), Proxies, trustsUnix: false, IPAddress.Parse("192.0.2.1"), out bool? speaksTls);
        Assert.Null(speaksTls);
    }

    [Theory]
    [InlineData("unknown")]
    [InlineData("203.0.113.7, unknown")]
    [InlineData("203.0.113.7,")]
    [InlineData("")]
    [InlineData("7")]
    [InlineData("0x7f.0.0.1.5")]
    [InlineData("fe80::1%eth0")]
    public void What_is_no_address_leaves_the_proxy_before_it(string field) =>
        Assert.Equal("10.0.0.1", Find("10.0.0.1", $"X-Forwarded-For: {field}").ToString());

    [Fact]
    public void Without_anybody_else_the_first_proxy_is_the_client() =>
        Assert.Equal("10.9.9.9", Find("10.0.0.1", "X-Forwarded-For: 10.9.9.9, 10.2.2.2").ToString());

    [Theory]
    [InlineData("X-Forwarded-Proto: https", true)]
    [InlineData("X-Forwarded-Proto: http, WSS", true)]
    [InlineData("X-Forwarded-Proto: https, http", false)]
    [InlineData("X-Forwarded-Proto: gopher", null)]
    [InlineData("X: y", null)]
    public void The_last_proxy_says_whether_TLS_was_spoken(string field, bool? expected)
    {
        ForwardedFor.Find(Head(field), Proxies, trustsUnix: false, IPAddress.Parse("10.0.0.1"), out bool? speaksTls);
        Assert.Equal(expected, speaksTls);
    }

    [Fact]
    public void A_proxy_on_a_Unix_socket_is_believed_where_those_are()
    {
        byte[] head = Head("X-Forwarded-For: 203.0.113.7, 10.0.0.1", "X-Forwarded-Proto: https");
        Assert.Equal("203.0.113.7", ForwardedFor.Find(head, Proxies, trustsUnix: true, peer: null, out bool? speaksTls)!.ToString());
        Assert.True(speaksTls);
        Assert.Null(ForwardedFor.Find(head, Proxies, trustsUnix: false, peer: null, out speaksTls));
        Assert.Null(speaksTls);
        Assert.Null(ForwardedFor.Find(Head("Host: example.org"), Proxies, trustsUnix: true, peer: null, out _));
        Assert.Equal("192.0.2.1", ForwardedFor.Find(head, Proxies, trustsUnix: true, IPAddress.Parse("192.0.2.1"), out _)!.ToString());
    }

    private static IPAddress Find(string peer, params string[] fields) =>
        ForwardedFor.Find(Head(fields), Proxies, trustsUnix: false, IPAddress.Parse(peer), out _)!;

    private static byte[] Head(params string[] fields) =>
        Encoding.ASCII.GetBytes($"GET /ws HTTP/1.1\r\n{string.Concat(fields.Select(field => field + "\r\n"))}\r\n");
}
