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
    public void Names_are_compared_in_one_form(string name, string expected) => Assert.Equal(expected, HostName.Normalize(name));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a..ü")]
    public void What_is_no_name_has_no_form(string name) => Assert.Null(HostName.Normalize(name));
}
