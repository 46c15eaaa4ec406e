using System.Text;
using Megaphone.Ecm;
using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>The STARTTLS negotiation of RFC 6120, sections 5.3 and 5.4.</summary>
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

        string answer = Accept(dialogue, header);

        Assert.Equal("example.org", dialogue.Host);
        Assert.Contains(" from='example.org' ", answer, StringComparison.Ordinal);
        Assert.EndsWith(
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
            answer,
            StringComparison.Ordinal);
        Assert.False(dialogue.IsOver || dialogue.HasProceeded);
    }

    [Fact]
    public void The_answer_contains_the_hosts_name_and_not_what_the_client_wrote()
    {
        StartTlsDialogue dialogue = new(host => host.Length > 0 ? "example.org" : null);

        string answer = Accept(dialogue, "<stream:stream to=\"a' evil='1' x='.example.org\">");

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
    public void Another_host_or_none_gets_host_unknown(string header)
    {
        StartTlsDialogue dialogue = new(host => host == "example.org" ? host : null);

        Assert.Contains("<host-unknown ", Accept(dialogue, header), StringComparison.Ordinal);
        Assert.Equal((true, StreamCondition.HostUnknown), (dialogue.IsOver, dialogue.Refusal));
    }

    [Theory]
    [InlineData(StartTls)]
    [InlineData("<starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\" />")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>")]
    public void Starttls_is_answered_with_proceed(string piece)
    {
        StartTlsDialogue dialogue = Greeted();

        Assert.Equal("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", Accept(dialogue, piece));
        Assert.True(dialogue.HasProceeded);
    }

    [Fact]
    public void Plain_text_after_starttls_is_refused()
    {
        StartTlsDialogue dialogue = Greeted();

        string answer = Encoding.UTF8.GetString(dialogue.Accept(Encoding.UTF8.GetBytes(StartTls), more: true));

        Assert.StartsWith("<stream:error><policy-violation ", answer, StringComparison.Ordinal);
        Assert.False(dialogue.HasProceeded);
    }

    [Theory]
    [InlineData("<starttls/>")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><a/></starttls>")]
    [InlineData("<auth xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")]
    [InlineData("<stream:stream to='example.org'>")]
    public void Any_other_element_is_a_policy_violation(string piece)
    {
        StartTlsDialogue dialogue = Greeted();

        Assert.StartsWith("<stream:error><policy-violation ", Accept(dialogue, piece), StringComparison.Ordinal);
        Assert.True(dialogue.IsOver);
    }

    [Theory]
    [InlineData("</stream:stream>")]
    [InlineData("</stream>")]
    [InlineData("</s:stream >")]
    public void A_closed_stream_is_closed_in_return_with_the_prefix_of_its_answer(string closing)
    {
        StartTlsDialogue dialogue = Greeted();

        Assert.Equal("</stream:stream>", Accept(dialogue, closing));
        Assert.Equal((true, null), (dialogue.IsOver, dialogue.Refusal));
    }

    private static StartTlsDialogue Greeted()
    {
        StartTlsDialogue dialogue = new(host => host);
        Accept(dialogue, "<stream:stream to='example.org'>");
        return dialogue;
    }

    private static string Accept(StartTlsDialogue dialogue, string piece) =>
        Encoding.UTF8.GetString(dialogue.Accept(Encoding.UTF8.GetBytes(piece), more: false));
}
