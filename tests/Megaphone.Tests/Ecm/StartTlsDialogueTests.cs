using System.Text;
using Megaphone.Ecm;
using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>What is said before STARTTLS, by RFC 6120, sections 5.3 and 5.4.</summary>
public class StartTlsDialogueTests
{
    private const string StartTls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    [Theory]
    [InlineData("<stream:stream to='example.org' version='1.0'>")]
    [InlineData("<stream:stream\n\tto = \"example.org\">")]
    [InlineData("<s:stream xml:lang='to' from='a@b' to='example.org'>")]
    public void The_header_names_the_host_and_is_answered_with_the_feature(string header)
    {
        StartTlsDialogue dialogue = new(host => host == "example.org" ? host : null);

        string answer = Take(dialogue, header);

        Assert.Equal("example.org", dialogue.Host);
        Assert.Contains(" from='example.org' ", answer, StringComparison.Ordinal);
        Assert.EndsWith(
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>", answer, StringComparison.Ordinal);
        Assert.False(dialogue.IsOver || dialogue.Proceeds);
    }

    [Fact]
    public void What_is_echoed_is_the_name_that_was_found_and_not_what_the_client_wrote()
    {
        StartTlsDialogue dialogue = new(host => host.Length > 0 ? "example.org" : null);

        string answer = Take(dialogue, "<stream:stream to=\"a' evil='1' x='.example.org\">");

        Assert.Equal("example.org", dialogue.Host);
        Assert.Contains(" from='example.org' version='1.0'>", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("evil", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<stream:stream to='example.net'>")]
    [InlineData("<stream:stream>")]
    [InlineData("<stream:stream to=example.org>")]
    [InlineData("<stream:stream xto='example.org'>")]
    [InlineData("<stream:stream x=\"to='example.org'\">")]
    public void Another_host_or_none_is_unknown(string header)
    {
        StartTlsDialogue dialogue = new(host => host == "example.org" ? host : null);

        Assert.Contains("<host-unknown ", Take(dialogue, header), StringComparison.Ordinal);
        Assert.Equal((true, StreamCondition.HostUnknown), (dialogue.IsOver, dialogue.Refusal));
    }

    [Theory]
    [InlineData(StartTls)]
    [InlineData("<starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\" />")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>")]
    public void Starttls_is_answered_with_proceed(string piece)
    {
        StartTlsDialogue dialogue = Greeted();

        Assert.Equal("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", Take(dialogue, piece));
        Assert.True(dialogue.Proceeds);
    }

    [Fact]
    public void Starttls_with_anything_behind_it_is_an_attack()
    {
        StartTlsDialogue dialogue = Greeted();

        string answer = Encoding.UTF8.GetString(dialogue.Take(Encoding.UTF8.GetBytes(StartTls), more: true));

        Assert.StartsWith("<stream:error><policy-violation ", answer, StringComparison.Ordinal);
        Assert.False(dialogue.Proceeds);
    }

    [Theory]
    [InlineData("<starttls/>")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><a/></starttls>")]
    [InlineData("<auth xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")]
    [InlineData("<stream:stream to='example.org'>")]
    public void Anything_else_is_against_the_policy(string piece)
    {
        StartTlsDialogue dialogue = Greeted();

        Assert.StartsWith("<stream:error><policy-violation ", Take(dialogue, piece), StringComparison.Ordinal);
        Assert.True(dialogue.IsOver);
    }

    [Fact]
    public void A_stream_that_is_ended_is_ended_in_return()
    {
        StartTlsDialogue dialogue = Greeted();

        Assert.Equal("</stream:stream>", Take(dialogue, "</stream:stream>"));
        Assert.Equal((true, null), (dialogue.IsOver, dialogue.Refusal));
    }

    private static StartTlsDialogue Greeted()
    {
        StartTlsDialogue dialogue = new(host => host);
        Take(dialogue, "<stream:stream to='example.org'>");
        return dialogue;
    }

    private static string Take(StartTlsDialogue dialogue, string piece) =>
        Encoding.UTF8.GetString(dialogue.Take(Encoding.UTF8.GetBytes(piece), more: false));
}
