using System.Net;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Tests.Handover;
using Megaphone.Unix;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>What a new configuration means for the clients of the listeners that there were.</summary>
public class EcmHeadTests
{
    private const int Small = 10_000, Large = 20_000, Limit = 1 << 20;

    [Fact]
    public void Clients_stay_with_their_listener_wherever_it_stands_and_keep_their_bound_when_it_has_gone()
    {
        EcmHead head = Head((1, Small), (2, Large), (3, Small));
        EcmOptions adapted = head.Adapt(Options((4, Large), (3, Small), (2, Small)), []);

        // The first one's clients have the bound of a listener that is no more, the second one's of one whose bound has changed.
        Assert.Equal([new(Small, Ping: null), new(Large, Ping: null)], adapted.FormerListeners);
        Assert.Equal([3, 4, 1], head.MapListeners(adapted));
    }

    [Fact]
    public void Of_listeners_that_are_alike_each_keeps_its_own_clients()
    {
        EcmHead head = Head((1, Small), (1, Small), (1, Small));
        Assert.Equal([0, 1, 2], head.MapListeners(head.Adapt(Options((1, Small), (1, Small), (1, Small)), [])));
        Assert.Equal([0, 1, 0], head.MapListeners(head.Adapt(Options((1, Small), (1, Small)), [])));
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
            Assert.All(head.MapListeners(adapted), index => Assert.True(index < adapted.Clients.Count + adapted.FormerListeners.Count));
            head = Head([.. adapted.Clients.Select(Open), .. adapted.FormerListeners.Select(Closed)]);
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

    [Fact]
    public void Clients_of_a_listener_that_is_for_the_web_no_more_stay_what_they_are()
    {
        WebOptions web = new() { Ping = TimeSpan.FromSeconds(20), HttpTo = Address(9) };
        EcmOptions before = Options((1, Small), (2, Small), (3, Small));
        before = before with { Clients = [before.Clients[0] with { Web = web }, before.Clients[1] with { Web = web }, before.Clients[2]] };
        EcmHead head = Head([.. before.Clients.Select(Open)]);
        EcmOptions after = Options((1, Small), (3, Small));
        after = after with { Clients = [after.Clients[0], after.Clients[1] with { Web = web }] };
        EcmOptions adapted = head.Adapt(after, []);
        Assert.Equal([2, 2, 3], head.MapListeners(adapted));
        WebOptions former = Assert.IsType<WebOptions>(adapted.GetWeb()[2]);
        Assert.Equal(web.Ping, former.Ping);
        Assert.Empty(former.Origins);
        Assert.Null(former.HttpTo);
        Assert.Null(adapted.GetWeb()[3]);
    }

    [Fact]
    public void Bounds_of_memory_that_may_be_in_use_do_not_become_less()
    {
        const int Half = Limit / 2;
        EcmOptions options = Options((1, Small)) with { Buffers = new() { LimitBytes = Half, TotalBytes = Half }, IncompleteBytes = Half };
        List<string> notes = [];
        EcmOptions adapted = Head((1, Small)).Adapt(options, notes);
        Assert.Equal((Half, Limit), (adapted.Buffers.LimitBytes, adapted.IncompleteBytes));
        Assert.Contains(notes, note => note.StartsWith("Ecm:IncompleteBytes stays", StringComparison.Ordinal));
        Assert.DoesNotContain(notes, note => note.StartsWith("Ecm:Buffers", StringComparison.Ordinal));

        // What a server sends to a client from the web is kept within the bound for each client.
        EcmHead web = Head([.. options.Clients.Select(listener => Open(listener with { Web = new() }))]);
        adapted = web.Adapt(options, notes);
        Assert.Equal((Limit, Limit), (adapted.Buffers.LimitBytes, adapted.Buffers.TotalBytes));
        Assert.Contains(notes, note => note.StartsWith("Ecm:Buffers:LimitBytes stays", StringComparison.Ordinal));
        Assert.Equal(2 * Limit, web.Adapt(options with { Buffers = new() { LimitBytes = 2 * Limit } }, []).Buffers.LimitBytes);
    }

    private static IPEndPoint Address(int number) => new(IPAddress.Loopback, 5000 + number);

    private static EcmHead.Listener Open(ClientListenerOptions options) =>
        new(options.Listen, options.Listen, options.MaxStanzaBytes, options.Web?.Ping, Descriptor: -1);

    [Fact]
    public void A_Unix_socket_is_found_again_by_its_path()
    {
        UnixEndPoint path = UnixEndPoint.Parse("unix:/run/megaphone/clients.sock")!;
        EcmHead.Listener listener = new(path, path, Small, null, Descriptor: 7);
        EcmHead head = HandedOver.Copy(writer => Head([listener, Closed(new FormerListener(Small, null))]).Save(writer), EcmHead.Restore);

        Assert.Equal(listener, head.Listeners[0]);
        Assert.True(head.Listeners[0].IsOpen);
        Assert.False(head.Listeners[1].IsOpen);
        Assert.True(head.HasListener(UnixEndPoint.Parse("unix:/run/megaphone/clients.sock")!));
        Assert.False(head.HasListener(UnixEndPoint.Parse("unix:/run/megaphone/others.sock")!));
        HashSet<int> taken = [];
        Assert.Equal((7, -1), (head.TakeDescriptor(path, taken), head.TakeDescriptor(path, taken)));
        EcmOptions same = Options() with { Clients = [new ClientListenerOptions { Listen = path, MaxStanzaBytes = Small }] };
        Assert.Equal([0, 1], head.MapListeners(head.Adapt(same, [])));
    }

    private static EcmHead.Listener Closed(FormerListener former) => EcmHead.Listener.Closed(new IPEndPoint(IPAddress.None, 0), former);

    private static EcmHead Head(params (int Number, int Bound)[] listeners) => Head([.. Options(listeners).Clients.Select(Open)]);

    private static EcmHead Head(EcmHead.Listener[] listeners) => new()
    {
        Reactors = 1,
        Capacity = 1000,
        RingBytes = 4 << 20,
        MaxPacketBytes = 1 << 20,
        LimitBytes = Limit,
        IncompleteBytes = Limit,
        Framing = LinkFraming.Stanza,
        Listeners = listeners,
    };

    private static EcmOptions Options(params (int Number, int Bound)[] listeners) => new()
    {
        Clients = [.. listeners.Select(listener => new ClientListenerOptions { Listen = Address(listener.Number), MaxStanzaBytes = listener.Bound })],
        Connect = new LinkConnectOptions { To = [new HostPort("127.0.0.1", 6280)] },
        Link = new LinkOptions { Framing = LinkFraming.Stanza },
    };
}
