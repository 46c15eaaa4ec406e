using System.Net;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>What a new configuration means for the clients of the listeners that there were.</summary>
public class EcmHeadTests
{
    private const int Small = 10_000, Large = 20_000;

    [Fact]
    public void Clients_stay_with_their_listener_wherever_it_stands_and_keep_their_bound_when_it_has_gone()
    {
        EcmHead head = Head((1, Small), (2, Large), (3, Small));
        EcmOptions adapted = head.Adapt(Options((4, Large), (3, Small), (2, Small)), []);

        // The first one's clients have the bound of a listener that is no more, the second one's of one whose bound has changed.
        Assert.Equal([Small, Large], adapted.FormerMaxStanzaBytes);
        Assert.Equal([3, 4, 1], head.MapListeners(adapted));
    }

    [Fact]
    public void Listeners_that_come_and_go_for_ever_leave_no_more_than_their_bounds()
    {
        EcmHead head = Head((1, Small), (2, Large));
        for (int round = 3; round < 400; round++)
        {
            EcmOptions next = Options((round, round % 2 == 0 ? Small : Large));
            Assert.Null(head.FindObstacle(next));
            EcmOptions adapted = head.Adapt(next, []);
            Assert.All(head.MapListeners(adapted), index => Assert.True(index < adapted.Clients.Count + adapted.FormerMaxStanzaBytes.Count));
            head = Head([.. adapted.Clients.Select(Open), .. adapted.FormerMaxStanzaBytes.Select(Closed)]);
        }

        Assert.InRange(head.Listeners.Count, 1, 3);
    }

    [Fact]
    public void More_listeners_than_clients_can_name_are_refused()
    {
        EcmHead head = Head((1, Small));
        Assert.Null(head.FindObstacle(Options([.. Enumerable.Range(2, 255).Select(number => (number, Large))])));
        string? obstacle = head.FindObstacle(Options([.. Enumerable.Range(2, 256).Select(number => (number, Large))]));
        Assert.Contains("256 listeners", obstacle, StringComparison.Ordinal);
    }

    private static IPEndPoint Address(int number) => new(IPAddress.Loopback, 5000 + number);

    private static EcmHead.Listener Open(ClientListenerOptions options) =>
        new(options.Listen, options.Listen, options.MaxStanzaBytes, Descriptor: -1);

    private static EcmHead.Listener Closed(int bound) => EcmHead.Listener.Closed(new IPEndPoint(IPAddress.None, 0), bound);

    private static EcmHead Head(params (int Number, int Bound)[] listeners) => Head([.. Options(listeners).Clients.Select(Open)]);

    private static EcmHead Head(EcmHead.Listener[] listeners) => new()
    {
        Reactors = 1, Capacity = 1000, RingBytes = 4 << 20, Framing = LinkFraming.Stanza, Listeners = listeners,
    };

    private static EcmOptions Options(params (int Number, int Bound)[] listeners) => new()
    {
        Clients = [.. listeners.Select(listener => new ClientListenerOptions { Listen = Address(listener.Number), MaxStanzaBytes = listener.Bound })],
        Connect = new LinkConnectOptions { To = [new HostPort("127.0.0.1", 6280)] },
        Link = new LinkOptions { Framing = LinkFraming.Stanza },
    };
}
