using System.Text;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class LoginTests
{
    private const string ServerHeader =
        "<?xml version='1.0'?><stream:stream id='1' version='1.0' xml:lang='en' xmlns:stream='http://etherx.jabber.org/streams' "
        + "from='capulet.example' xmlns='jabber:client'>";

    private const string OurHeader =
        "<stream:stream to='capulet.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

    private const string BindRequest =
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq>";

    private const string BindFeatures =
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        + "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session></stream:features>";

    [Fact]
    public void Anonymous_from_the_first_header_to_presence()
    {
        using Conversation client = new();

        Assert.Equal(OurHeader, Encoding.UTF8.GetString(client.Clients.Header));
        Assert.Equal("", client.Hear(ServerHeader));
        Assert.Equal("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'></auth>", client.Hear(Offering("PLAIN", "ANONYMOUS")));
        Assert.Equal(OurHeader, client.Hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"));
        Assert.Equal(BindRequest, client.Hear(ServerHeader + BindFeatures));
        Assert.Equal(1, client.Clients.Pending);
        Assert.Equal("<presence/>", client.Hear(
            "<iq id='bind' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>8213@capulet.example/bench</jid></bind></iq>"));

        Assert.Equal("8213", Encoding.UTF8.GetString(client.Session.Local));
        Assert.Equal((1, 1, 0), (client.Clients.LoggedIn, client.Clients.Online, client.Clients.Pending));
        Assert.Equal(1, client.Clients.Logins.Count);
        Assert.Empty(client.Problems);
    }

    [Fact]
    public void Fragmentation_makes_no_difference_to_a_client()
    {
        using Conversation client = new();
        StringBuilder said = new();
        string server = ServerHeader + Offering("ANONYMOUS") + "<success/>"
            + ServerHeader + BindFeatures + "<iq id='bind' type='result'><bind><jid>a@b/c</jid></bind></iq>";
        foreach (char letter in server) said.Append(client.Hear(letter.ToString()));

        Assert.EndsWith("</auth>" + OurHeader + BindRequest + "<presence/>", said.ToString(), StringComparison.Ordinal);
        Assert.Equal(1, client.Clients.LoggedIn);
    }

    [Fact]
    public void PLAIN_sends_the_name_and_password_of_the_client_s_number()
    {
        using Conversation client = new(LoginMethod.Plain);

        string auth = client.Hear(ServerHeader + Offering("PLAIN"));

        // Place 6 is number 7.
        Assert.Equal($"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{Base64("\0user7\0pass7")}</auth>", auth);
    }

    [Theory]
    [InlineData("ScramSha1", "SCRAM-SHA-1")]
    [InlineData("ScramSha256", "SCRAM-SHA-256")]
    public void SCRAM_refuses_a_server_that_does_not_prove_that_it_knows_the_password(string method, string mechanism)
    {
        using Conversation client = new(Enum.Parse<LoginMethod>(method));

        string auth = client.Hear(ServerHeader + Offering(mechanism));
        string first = Encoding.UTF8.GetString(Convert.FromBase64String(auth.Split('>', '<')[2]));
        Assert.StartsWith("n,,n=user7,r=", first, StringComparison.Ordinal);
        string challenge = Base64($"{first[(first.IndexOf("r=", StringComparison.Ordinal))..]}more,s=QSXCR+Q6sek8bf92,i=1");
        Assert.StartsWith(
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>",
            client.Hear($"<challenge>{challenge}</challenge>"),
            StringComparison.Ordinal);
        Assert.Equal("END", client.Hear($"<success>{Base64("v=wrong")}</success>"));

        Assert.Equal(["the server did not prove that it knows the password"], client.Problems);
        Assert.Equal((1, 0), (client.Clients.Failed, client.Clients.Pending));
    }

    [Fact]
    public void Without_a_login_a_client_is_online_after_the_answer_to_its_header()
    {
        using Conversation client = new(LoginMethod.None);

        Assert.Equal("", client.Hear(OurHeader));
        Assert.Equal(1, client.Clients.Online);
    }

    [Fact]
    public void Stream_management_is_enabled_and_the_roster_is_asked_for_before_presence_is_sent()
    {
        using Conversation client = new(managesStream: true, asksForRoster: true);

        Assert.Equal("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", client.Bind());
        Assert.Equal(
            "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>",
            client.Hear("<enabled xmlns='urn:xmpp:sm:3' id='1' resume='true'/>"));
        Assert.Equal(1, client.Clients.Pending);
        Assert.Equal("<presence/>", client.Hear("<iq id='roster' type='result'><query xmlns='jabber:iq:roster'/></iq>"));

        Assert.Equal(1, client.Clients.Online);
        Assert.Empty(client.Problems);
    }

    [Fact]
    public void The_roster_can_be_asked_for_without_stream_management()
    {
        using Conversation client = new(asksForRoster: true);

        Assert.Equal("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", client.Bind());
    }

    [Theory]
    [InlineData(
        "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
        "stream management refused: unexpected-request")]
    [InlineData("<iq id='roster' type='result'/>", "<iq> came while a client waited for stream management")]
    [InlineData(
        "<enabled/><iq id='roster' type='error'><query/><error type='cancel'><service-unavailable/></error></iq>", "no roster: service-unavailable")]
    [InlineData("<enabled/><presence/>", "<presence> came while a client waited for its roster")]
    public void A_client_without_what_it_asks_for_after_binding_has_failed(string answer, string problem)
    {
        using Conversation client = new(managesStream: true, asksForRoster: true);
        client.Bind();

        Assert.EndsWith("END", client.Hear(answer), StringComparison.Ordinal);
        Assert.Equal([problem], client.Problems);
    }

    [Theory]
    [InlineData(
        "<stream:features><starttls><required/></starttls></stream:features>",
        "the server offers no SASL, perhaps because it wants STARTTLS first: see --tls of bench xmpp")]
    [InlineData("<stream:features><mechanisms><mechanism>PLAIN</mechanism></mechanisms></stream:features>", "the server does not offer ANONYMOUS")]
    [InlineData("<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "stream error: host-unknown")]
    [InlineData("</stream:stream>", "the server closed a stream")]
    [InlineData("<message/>", "<message> came while a client waited for the mechanisms")]
    [InlineData("<!-- -->", "the server sent what is no XMPP: comments are not allowed")]
    [InlineData("", "the server ended a session without closing its stream")]
    public void What_ends_a_login_before_SASL_is_counted_by_its_kind(string text, string problem)
    {
        using Conversation client = new();
        client.Hear(ServerHeader);

        Assert.Equal("END", client.Hear(text));
        Assert.Equal([problem], client.Problems);
        Assert.Equal((1, 0, 0), (client.Clients.Failed, client.Clients.Pending, client.Clients.LoggedIn));
    }

    [Theory]
    [InlineData("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>No</text></failure>", "login refused: not-authorized")]
    [InlineData("<failure/>", "login refused: no condition")]
    public void A_login_that_is_refused_is_counted_by_its_condition(string failure, string problem)
    {
        using Conversation client = new();
        client.Hear(ServerHeader + Offering("ANONYMOUS"));

        Assert.Equal("END", client.Hear(failure));
        Assert.Equal([problem], client.Problems);
    }

    [Theory]
    [InlineData("<iq type='error' id='bind'><bind/><error type='cancel'><conflict/></error></iq>", "binding refused: conflict")]
    [InlineData("<iq type='result' id='bind'><bind><jid>capulet.example</jid></bind></iq>", "the server bound a client to no address")]
    [InlineData("<iq type='result' id='bind'/>", "the server bound a client to no address")]
    [InlineData(
        "<iq type='result' id='bind'><bind><jid>123456789012345678901234567890123456789012345@b/c</jid></bind></iq>",
        "the server gave an address whose local part is longer than 39 bytes")]
    public void A_client_without_an_address_has_failed(string answer, string problem)
    {
        using Conversation client = new();
        client.Hear(ServerHeader + Offering("ANONYMOUS"));
        client.Hear("<success/>");
        client.Hear(ServerHeader + BindFeatures);

        Assert.Equal("END", client.Hear(answer));
        Assert.Equal([problem], client.Problems);
    }

    private static string Offering(params string[] mechanisms) =>
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
        + $"{string.Concat(mechanisms.Select(name => $"<mechanism>{name}</mechanism>"))}</mechanisms></stream:features>";

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
