using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Values;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>Which server a link leads to, and which link a new client goes to.</summary>
public class EcmServersTests
{
    private const int LinksEach = 2;

    private readonly EcmServers _servers = new(LinksEach, new EcmLog(NullLogger<EcmRole>.Instance));
    private readonly RoleMetrics _metrics = new(Role.Ecm);

    private enum Step
    {
        Up,
        Down,
        Drain,
        Leave,
        Open,
        Close,
    }

    [Fact]
    public void A_link_leads_to_whoever_its_welcome_names()
    {
        EcmLink first = Add("node1"), second = Add("node2");
        Assert.True(Up(first, "a"));
        Assert.True(Up(second, "b"));
        Assert.Equal(["a", "b"], ClientsOf(10).Keys.Order());
    }

    [Fact]
    public void Two_addresses_of_one_server_are_one_server()
    {
        EcmLink four = Add("node1", "192.0.2.1"), six = Add("node1", "2001:db8::1"), other = Add("node2");
        Up(four, "a");
        Up(six, "a");
        Up(other, "b");
        Assert.All(ClientsOf(100).Values, clients => Assert.Equal(50, clients));
        Assert.Equal((25, 25), (four.Clients, six.Clients));
    }

    [Fact]
    public void A_server_that_has_its_links_gets_no_more_until_one_is_lost()
    {
        EcmLink first = Add("node1"), second = Add("node1"), third = Add("node1", "192.0.2.9");
        Up(first, "a");
        Up(second, "a");
        Assert.False(Up(third, "a"));
        Assert.False(third.UntilNeeded!.IsCompleted);
        Assert.Null(third.Current);

        Down(first);
        Assert.True(third.UntilNeeded.IsCompleted);
        Assert.True(Up(third, "a"));
        Assert.Null(third.UntilNeeded);
    }

    [Fact]
    public void A_server_whose_address_has_left_is_linked_over_the_new_one()
    {
        EcmLink[] links = [Add("node1"), Add("node1"), Add("node1", "192.0.2.9")];
        Up(links[0], "a");
        Up(links[1], "a");
        Assert.False(Up(links[2], "a"));
        _servers.SetLeft(links[0], true);
        Assert.True(links[2].UntilNeeded!.IsCompleted);
        _servers.SetLeft(links[1], true);
        Assert.True(Up(links[2], "a"));
        Assert.Equal(links[2], _servers.Choose(out _));
        Assert.NotNull(links[0].Current);
    }

    [Fact]
    public void A_server_that_has_no_name_of_its_own_is_its_address()
    {
        Up(Add("node1", "192.0.2.1"), null);
        Up(Add("node2", "192.0.2.2"), null);

        // Modules of version 0.1 all called themselves the same.
        Up(Add("node3", "192.0.2.3"), "ejabberd_megaphone");
        Up(Add("node4", "192.0.2.4"), "ejabberd_megaphone");
        Assert.Equal(["192.0.2.1:6280", "192.0.2.2:6280", "192.0.2.3:6280", "192.0.2.4:6280"], ClientsOf(40).Keys.Order());
    }

    [Fact]
    public void A_server_may_come_back_with_another_name()
    {
        EcmLink link = Add("node1");
        Up(link, "a");
        Down(link);
        Assert.False(_servers.AreUsable);
        Up(link, "b");
        Assert.Equal(["b"], ClientsOf(1).Keys);
    }

    [Fact]
    public void A_server_that_comes_back_has_none_of_the_clients_that_it_had()
    {
        EcmLink link = Add("node1");
        Up(link, "a");
        int before = link.Current!.Number;
        link.AddClient(before);
        Down(link);
        Up(link, "a");
        Assert.Equal(0, link.Clients);

        // They go one after the other, while new ones come.
        int after = link.Current.Number;
        link.AddClient(after);
        _servers.RemoveClient(link.Index, before);
        Assert.Equal(1, link.Clients);
        Assert.Null(_servers.Find(link.Index, before));
        Assert.Equal(link.Current, _servers.Find(link.Index, after));
    }

    [Fact]
    public void Without_a_server_there_is_nothing_to_choose()
    {
        Assert.Null(_servers.Choose(out _));
        EcmLink link = Add("node1");
        Assert.Equal(["no link to node1:6280 is up"], Outages("node1"));
        Up(link, "a");
        Assert.Empty(Outages("node1"));
        link.Current!.TrySetDraining();
        Assert.Null(_servers.Choose(out _));
        Assert.Equal(["every link to node1:6280 is draining"], Outages("node1"));
    }

    [Fact]
    public void A_server_that_is_taken_out_gets_nobody_until_it_is_put_back()
    {
        EcmLink first = Add("node1"), second = Add("node2");
        Up(first, "a");
        Up(second, "b");
        Assert.Equal(5, ClientsOf(10)["a"]);
        Assert.Equal(5, _servers.TakeOut(first.Address.Target));
        Assert.Equal((true, false), (_servers.IsTakenOut(first.Index), _servers.IsTakenOut(second.Index)));
        Assert.Equal((5, 15), (ClientsOf(10)["a"], ClientsOf(0)["b"]));
        Assert.Equal(("drained", "up"), (first.Status.State, second.Status.State));
        Assert.Equal(["node1:6280 is drained by an operator"], Outages("node1"));

        // So is a link that is made meanwhile.
        EcmLink third = Add("node1");
        Up(third, "a");
        Assert.Equal((5, 25), (ClientsOf(10)["a"], ClientsOf(0)["b"]));
        _servers.PutBack();
        Assert.Equal((15, 25), (ClientsOf(10)["a"], ClientsOf(0)["b"]));
    }

    [Fact]
    public void There_is_a_bound_to_all_links()
    {
        List<EcmLink> all = [.. Enumerable.Range(0, EcmServers.MaxLinks).Select(_ => Add("node1"))];
        Assert.False(_servers.TryAdd(all[0].Address, null!, _metrics, out _));
        _servers.Remove(all[7]);
        Assert.Equal(7, Add("node1").Index);
    }

    [Fact]
    public void Many_threads_keep_the_servers_balanced()
    {
        for (int i = 1; i <= 3; i++) Up(Add($"node{i}"), $"{i}");
        Parallel.For(0, 30_000, _ =>
        {
            EcmLink link = _servers.Choose(out Link? current)!;
            link.AddClient(current!.Number);
        });

        // Threads that choose at the same time may choose the same, and what they miss the next ones make good.
        Assert.All(_servers.Links, link => Assert.InRange(link.Clients, 10_000 - 100, 10_000 + 100));
        Assert.Equal(30_000, _servers.Links.Sum(link => link.Clients));
    }

    private static readonly Gen<(Step Step, int Link, int Server)> Steps =
        Gen.Elements(Step.Up, Step.Up, Step.Down, Step.Drain, Step.Leave, Step.Open, Step.Open, Step.Open, Step.Open, Step.Close)
            .SelectMany(_ => Gen.Choose(0, 59), (step, any) => (step, any / 5, any % 5));

    [Fact]
    public void A_new_client_goes_to_the_server_with_the_fewest_of_those_that_take_any() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            EcmServersTests test = new();
            EcmLink[] links = [.. Enumerable.Range(0, 12).Select(i => test.Add($"node{i}"))];
            string?[] leadsTo = new string?[links.Length];
            List<(int Link, int Owner)>[] clients = [.. links.Select(_ => new List<(int, int)>())];
            foreach ((Step step, int i, int server) in steps)
            {
                EcmLink link = links[i];
                switch (step)
                {
                    case Step.Up when leadsTo[i] is null:
                        bool isNeeded = links.Count(other => leadsTo[other.Index] == $"{server}" && !other.HasLeft) < LinksEach;
                        Assert.Equal(isNeeded, test.Up(link, $"{server}"));
                        Assert.Equal(isNeeded, link.UntilNeeded is null);
                        if (isNeeded) leadsTo[i] = $"{server}";
                        break;
                    case Step.Down when leadsTo[i] is { } name:
                        test.Down(link);
                        leadsTo[i] = null;
                        clients[i].Clear();
                        Assert.All(links.Where(other => other.UntilNeeded is not null && other.Server == name), Woken);
                        break;
                    case Step.Drain:
                        link.Current?.TrySetDraining();
                        break;
                    case Step.Leave:
                        test._servers.SetLeft(link, !link.HasLeft);
                        if (!link.HasLeft || leadsTo[i] is null) break;
                        Assert.All(links.Where(other => other.UntilNeeded is not null && other.Server == leadsTo[i]), Woken);
                        break;
                    case Step.Open:
                        int? fewest = Fewest();
                        EcmLink? chosen = test._servers.Choose(out Link? current);
                        Assert.Equal(fewest is null, chosen is null);
                        Assert.Equal(chosen is not null, test._servers.AreUsable);
                        if (chosen is null) break;
                        Assert.Equal(current, chosen.Usable);
                        Assert.Equal(fewest, CountAt(leadsTo[chosen.Index]!));
                        chosen.AddClient(current!.Number);
                        clients[chosen.Index].Add((chosen.Index, current.Number));
                        break;
                    case Step.Close when clients[i].Count > 0:
                        test._servers.RemoveClient(i, clients[i][0].Owner);
                        clients[i].RemoveAt(0);
                        break;
                }

                for (int any = 0; any < links.Length; any++) Assert.Equal(clients[any].Count, links[any].Clients);
            }

            int CountAt(string name) => Enumerable.Range(0, links.Length).Where(i => leadsTo[i] == name).Sum(i => clients[i].Count);

            int? Fewest() => Enumerable.Range(0, links.Length)
                .Where(i => leadsTo[i] is not null && !links[i].HasLeft && !links[i].Current!.Draining)
                .Select(i => (int?)CountAt(leadsTo[i]!))
                .Min();

            static void Woken(EcmLink link) => Assert.True(link.UntilNeeded!.IsCompleted);
        }));

    private void Down(EcmLink link) => Assert.True(_servers.TryLeave(link, link.Current!));

    private EcmLink Add(string target, string address = "192.0.2.1")
    {
        TargetAddress to = new(new HostPort(target, 6280), new IPEndPoint(IPAddress.Parse(address), 6280));
        Assert.True(_servers.TryAdd(to, null!, _metrics, out EcmLink? link));
        return link;
    }

    private bool Up(EcmLink link, string? name)
    {
        LinkOptions options = new() { RingBytes = 1024, MaxPacketBytes = 512 };
        return _servers.TryJoin(link, new Link(link, options, _metrics, new LinkCounters(), hasControl: true, 512) { PeerName = name });
    }

    private IEnumerable<string> Outages(string target) => _servers.Outages([new HostPort(target, 6280)]);

    private Dictionary<string, int> ClientsOf(int clients)
    {
        for (int i = 0; i < clients; i++)
        {
            EcmLink link = _servers.Choose(out Link? current)!;
            link.AddClient(current!.Number);
        }

        return _servers.Links.Where(link => link.Current is not null)
            .GroupBy(link => link.Server!).ToDictionary(server => server.Key, server => server.Sum(link => link.Clients));
    }
}
