using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>Which names a certificate covers, by RFC 6125, section 6.4.</summary>
public class HostNameTests
{
    [Theory]
    [InlineData("example.org", "example.org", true)]
    [InlineData("example.org", "www.example.org", false)]
    [InlineData("*.example.org", "chat.example.org", true)]
    [InlineData("*.example.org", "example.org", false)]
    [InlineData("*.example.org", "a.b.example.org", false)]
    [InlineData("*.example.org", ".example.org", false)]
    [InlineData("c*.example.org", "chat.example.org", false)]
    [InlineData("chat.*.org", "chat.example.org", false)]
    [InlineData("*", "localhost", false)]
    public void A_wildcard_is_the_whole_first_label_and_stands_for_one(string pattern, string host, bool covers) =>
        Assert.Equal(covers, HostName.Covers(pattern, host));

    [Theory]
    [InlineData("Example.ORG", "example.org")]
    [InlineData("example.org.", "example.org")]
    [InlineData("münchen.example", "xn--mnchen-3ya.example")]
    [InlineData("xn--mnchen-3ya.example", "xn--mnchen-3ya.example")]
    [InlineData("例え。テスト", "xn--r8jz45g.xn--zckzah")]
    [InlineData("my_host-1.example", "my_host-1.example")]
    [InlineData("127.0.0.1", "127.0.0.1")]
    public void Names_are_compared_in_one_form(string name, string expected) => Assert.Equal(expected, HostName.Normalize(name));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a..ü")]
    [InlineData("a..b")]
    [InlineData(".a")]
    [InlineData("a..")]
    [InlineData("*.example.org")]
    [InlineData("a' evil='1' x='.example.org")]
    [InlineData("a\" evil=\"1.example.org")]
    [InlineData("a&apos;.example.org")]
    [InlineData("a>.example.org")]
    [InlineData("a b.example.org")]
    [InlineData("a\n.example.org")]
    [InlineData("a\0.example.org")]
    [InlineData("user@example.org")]
    [InlineData("example.org/home")]
    [InlineData("[::1]")]
    [InlineData("ü'.example.org")]
    public void What_is_not_a_host_name_is_refused(string name) => Assert.Null(HostName.Normalize(name));

    [Theory]
    [InlineData("ü\uFF07.example.org")]
    [InlineData("\uFF1Cevil\uFF1E.example.org")]
    [InlineData("a\uFF0Fb\u2100.example.org")]
    [InlineData("\uFFFD.example.org")]
    public void Characters_that_look_like_punctuation_never_become_punctuation(string name) =>
        Assert.Matches("^[a-z0-9.-]*$", HostName.Normalize(name) ?? "");

    [Fact]
    public void Labels_and_names_that_are_too_long_are_refused()
    {
        string label = new('a', 63);
        string longest = $"{label}.{label}.{label}.{label[..61]}";

        Assert.Equal(longest, HostName.Normalize(longest + "."));
        Assert.Null(HostName.Normalize(longest + "a"));
        Assert.Null(HostName.Normalize(label + "a.example"));
        Assert.Null(HostName.Normalize(new string('ü', 253)));
    }

    [Theory]
    [InlineData("*.Example.ORG", "*.example.org")]
    [InlineData("*.münchen.example", "*.xn--mnchen-3ya.example")]
    [InlineData("example.org", "example.org")]
    [InlineData("c*.example.org", null)]
    [InlineData("*.*.example.org", null)]
    [InlineData("*.", null)]
    [InlineData("*", null)]
    public void A_certificates_name_may_begin_with_a_wildcard(string name, string? expected) =>
        Assert.Equal(expected, HostName.NormalizePattern(name));
}
