using System.Diagnostics;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class OnlineTests
{
    [Theory]
    [InlineData("get")]
    [InlineData("set")]
    public void A_request_is_answered_with_an_error(string type)
    {
        using Conversation client = Conversation.LoggedIn();

        Assert.Equal(
            "<iq type='error' id=\"x&apos;1\" to=\"capulet.example\"><error type='cancel'>"
            + "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            client.Hear($"<iq type='{type}' from='capulet.example' id='x&apos;1'><ping xmlns='urn:xmpp:ping'/></iq>"));
        Assert.Empty(client.Problems);
    }

    [Fact]
    public void Presence_answers_and_foreign_messages_are_only_counted()
    {
        using Conversation client = Conversation.LoggedIn();

        Assert.Equal("", client.Hear("<presence from='a@b'/><iq type='result' id='1'/><message><body>hello</body></message>"));
        Assert.Equal(3, client.Clients.OtherStanzas);
        Assert.Empty(client.Problems);
    }

    [Fact]
    public void With_stream_management_the_stanzas_since_it_was_enabled_are_counted_and_acknowledged_on_request()
    {
        using Conversation client = new(managesStream: true, asksForRoster: true);
        client.Bind();
        client.Hear("<enabled xmlns='urn:xmpp:sm:3' id='1'/>");
        client.Hear("<iq id='roster' type='result'><query xmlns='jabber:iq:roster'/></iq>");

        Assert.Equal("<a xmlns='urn:xmpp:sm:3' h='1'/>", client.Hear("<r xmlns='urn:xmpp:sm:3'/>"));
        Assert.Equal("", client.Hear("<presence from='a@b'/><message/><a xmlns='urn:xmpp:sm:3' h='1'/>"));
        Assert.Equal("<a xmlns='urn:xmpp:sm:3' h='3'/>", client.Hear("<r xmlns='urn:xmpp:sm:3'/>"));
        Assert.Equal(2, client.Clients.OtherStanzas);
        Assert.Empty(client.Problems);
    }

    [Fact]
    public void A_stream_that_the_server_closes_is_a_problem_and_is_closed()
    {
        using Conversation client = Conversation.LoggedIn();

        Assert.Equal("END", client.Hear("</stream:stream>"));
        Assert.Equal("", client.Hear(""));
        Assert.Equal(["the server closed a stream"], client.Problems);
        Assert.Equal((0, 1), (client.Clients.Online, client.Clients.Closed));
    }

    [Fact]
    public void A_stream_that_was_asked_to_end_ends_without_a_problem()
    {
        using Conversation client = Conversation.LoggedIn();
        client.Session.EndRequested = true;

        Assert.Equal("END", client.Hear("</stream:stream>"));
        Assert.Equal("", client.Hear(""));
        Assert.Empty(client.Problems);
        Assert.Equal((0, 1), (client.Clients.Online, client.Clients.Closed));
    }

    [Fact]
    public void Whatever_arrives_after_the_end_is_ignored()
    {
        using Conversation client = Conversation.LoggedIn();
        client.Hear("");

        Assert.Equal("", client.Hear("<iq type='get' id='1'/>"));
        Assert.Equal(1, client.Clients.Closed);
    }

    [Fact]
    public void A_client_leaves_a_server_that_asks_for_more_answers_at_once_than_there_is_room_for()
    {
        using Conversation client = new() { Room = 1 };

        client.Hear(
            "<stream:stream xmlns:stream='s'><stream:features><mechanisms><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>"
            + "<success/>");
        Assert.Equal(["the server asked for more answers at once than there was room for"], client.Problems);
        Assert.Equal((1, 1), (client.Clients.Failed, client.Clients.Closed));
    }

    [Fact]
    public void A_lost_session_is_lost_once()
    {
        using Conversation client = Conversation.LoggedIn();

        client.Clients.Lose(6, "gone");
        client.Clients.Lose(6, "gone");

        Assert.Equal([("gone", 1L)], client.Clients.Problems.Kinds);
        Assert.Equal((0, 1, 0), (client.Clients.Online, client.Clients.Closed, client.Clients.Failed));
    }

    [Fact]
    public void A_message_that_comes_back_as_an_error_is_counted_by_its_condition()
    {
        using Conversation client = Conversation.LoggedIn();
        MessageTraffic traffic = new([6], 1, new Schedule(Stopwatch.GetTimestamp(), 1), 1, "capulet.example");
        client.Clients.Count(traffic);

        client.Hear("<message type='error' id='0'><body>x</body><error type='cancel'><service-unavailable/></error></message>");
        Assert.Equal(["a message came back: service-unavailable"], client.Problems);
        Assert.Equal((0, 1), (traffic.Arrived, traffic.Refused));
    }
}
