using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Ecm;

public sealed class AddressTableTests
{
    private const int Second = 1000;

    /// <summary>Two addresses of one IPv6 site, one of another, and two of IPv4.</summary>
    private static readonly ClientAddress[] Clients =
        [.. new[] { "2001:db8:1:1::7", "2001:db8:1:2::7", "2001:db8:2:1::7", "192.0.2.1", "192.0.2.2" }.Select(AddressOf)];

    private enum Step
    {
        Arrive,
        ArriveExempt,
        LogIn,
        Leave,
        Wait,
    }

    private static Gen<(Step Step, int Which)> Steps =>
        Gen.Elements(Step.Arrive, Step.Arrive, Step.Arrive, Step.ArriveExempt, Step.LogIn, Step.Leave, Step.Wait)
            .SelectMany(_ => Gen.Choose(0, 99), (step, which) => (step, which));

    [Fact]
    public void An_address_may_have_so_many_connections_at_a_time()
    {
        using AddressTable table = Table(new LimitOptions { PerAddress = 2 });
        ClientAddress one = AddressOf("192.0.2.1"), other = AddressOf("192.0.2.2");
        Assert.Null(table.Arrive(one, isLimited: true, 0));
        Assert.Null(table.Arrive(one, isLimited: true, 0));
        Assert.Equal(Limit.PerAddress, table.Arrive(one, isLimited: true, 0));
        Assert.Null(table.Arrive(other, isLimited: true, 0));

        table.LogIn(one, 0);
        Assert.Equal(Limit.PerAddress, table.Arrive(one, isLimited: true, 0));
        table.Leave(one, isLimited: true, hadLoggedIn: true, 0);
        Assert.Null(table.Arrive(one, isLimited: true, 0));
    }

    [Fact]
    public void An_address_may_bring_so_many_at_once_and_then_as_many_a_second()
    {
        using AddressTable table = Table(new LimitOptions { PerAddressRate = 4 });
        ClientAddress one = AddressOf("192.0.2.1");
        Assert.Equal(4, Enumerable.Range(0, 10).Count(_ => table.Arrive(one, isLimited: true, 0) is null));
        Assert.Equal(Limit.PerAddressRate, table.Arrive(one, isLimited: true, 249));
        Assert.Null(table.Arrive(one, isLimited: true, 250));
        Assert.Equal(Limit.PerAddressRate, table.Arrive(one, isLimited: true, 250));
        Assert.Equal(8, Enumerable.Range(0, 2000).Count(ms => table.Arrive(one, isLimited: true, 251 + ms) is null));
    }

    [Fact]
    public void Who_is_exempt_may_have_and_bring_any_number()
    {
        using AddressTable table = Table(new LimitOptions { PerAddress = 1, PerAddressRate = 1 });
        ClientAddress one = AddressOf("192.0.2.1");
        for (int i = 0; i < 100; i++) Assert.Null(table.Arrive(one, isLimited: false, 0));
        Assert.Equal(100, table.NotLoggedIn(one));
    }

    [Fact]
    public void A_host_with_a_whole_IPv6_network_is_one_address_and_a_site_may_have_16_times_as_much()
    {
        using AddressTable table = Table(new LimitOptions { PerAddress = 3 });
        Assert.Equal(3, Enumerable.Range(1, 10).Count(host => table.Arrive(AddressOf($"2001:db8:1:1::{host:x}"), isLimited: true, 0) is null));
        Assert.Equal(45, Enumerable.Range(2, 99).Count(network => table.Arrive(AddressOf($"2001:db8:1:{network:x}::1"), isLimited: true, 0) is null));
        Assert.Equal(Limit.PerSite, table.Arrive(AddressOf("2001:db8:1:ffff::1"), isLimited: true, 0));
        Assert.Null(table.Arrive(AddressOf("2001:db8:2:1::1"), isLimited: true, 0));

        // Who was refused for the sake of the site does not count at its address.
        Assert.Equal(0, table.NotLoggedIn(AddressOf("2001:db8:1:ffff::1")));
    }

    [Fact]
    public void The_prefixes_say_what_an_address_is()
    {
        using AddressTable table = Table(new LimitOptions { PerAddress = 1, Ipv4Prefix = 24, Ipv6Prefix = 56, Ipv6Site = 0 });
        Assert.Null(table.Arrive(AddressOf("192.0.2.1"), isLimited: true, 0));
        Assert.Equal(Limit.PerAddress, table.Arrive(AddressOf("::ffff:192.0.2.200"), isLimited: true, 0));
        Assert.Null(table.Arrive(AddressOf("192.0.3.1"), isLimited: true, 0));
        Assert.Null(table.Arrive(AddressOf("2001:db8:0:100::1"), isLimited: true, 0));
        Assert.Equal(Limit.PerAddress, table.Arrive(AddressOf("2001:db8:0:1ff::1"), isLimited: true, 0));
        for (int site = 0x200; site < 0x8000; site += 0x100)
            Assert.Null(table.Arrive(AddressOf($"2001:db8:0:{site:x}::1"), isLimited: true, 0));
    }

    [Fact]
    public void An_address_leaves_when_nobody_is_there_and_its_bucket_is_full()
    {
        using AddressTable table = Table(new LimitOptions { PerAddressRate = 2 });
        ClientAddress one = AddressOf("192.0.2.1");
        table.Arrive(one, isLimited: true, 0);
        table.Leave(one, isLimited: true, hadLoggedIn: false, 100);
        Assert.Equal(1, table.Count);
        table.Arrive(one, isLimited: true, 2 * Second);
        table.Leave(one, isLimited: true, hadLoggedIn: false, 4 * Second);
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void Addresses_that_came_once_are_gone_soon_after()
    {
        using AddressTable table = Table(new LimitOptions { PerAddressRate = 10 });
        for (int i = 0; i < 100_000; i++)
        {
            ClientAddress one = new(0xFFFF_0000_0000_0000UL | (uint)i * 7919);
            Assert.Null(table.Arrive(one, isLimited: true, i));
            table.Leave(one, isLimited: true, hadLoggedIn: false, i);
        }

        // One comes each millisecond, and stays for the 100 that its bucket takes to be full.
        Assert.InRange(table.Count, 1, 2000);
    }

    [Fact]
    public void There_are_never_more_than_the_bound_and_who_finds_no_room_is_not_refused()
    {
        const int bound = 1000;
        using AddressTable table = Table(new LimitOptions { PerAddress = 1, PerAddressRate = 1 }, bound);
        for (int i = 0; i < 5000; i++)
        {
            ClientAddress one = new(0xFFFF_0000_0000_0000UL | (uint)i);
            Assert.Null(table.Arrive(one, isLimited: true, 0));
            if (i % 2 == 0) table.Leave(one, isLimited: true, hadLoggedIn: false, 0);
            Assert.InRange(table.Count, 0, bound);
        }

        for (int i = 0; i < 5000; i++)
            table.Leave(new ClientAddress(0xFFFF_0000_0000_0000UL | (uint)i), isLimited: true, hadLoggedIn: false, 2 * Second);
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void A_hundred_thousand_addresses_take_32_bytes_each()
    {
        const int many = 100_000;
        using AddressTable table = Table(new LimitOptions { PerAddress = 10 }, many);
        for (int i = 0; i < many; i++) table.Arrive(new ClientAddress(0xFFFF_0000_0000_0000UL | (uint)i * 65_537), isLimited: true, 0);
        Assert.Equal(many, table.Count);
        Assert.InRange(table.Bytes / table.Count, 20, 32);
    }

    [Fact]
    public async Task Threads_that_come_and_go_leave_nothing_behind()
    {
        using AddressTable table = Table(new LimitOptions { PerAddress = 1_000_000 });
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 20_000; i++)
            {
                ClientAddress one = new(0xFFFF_0000_0000_0000UL | (uint)(i % 50));
                Assert.Null(table.Arrive(one, isLimited: true, 0));
                table.LogIn(one, 0);
                table.Leave(one, isLimited: true, hadLoggedIn: true, 0);
            }
        })));
        Assert.Equal(0, table.Count);
    }

    /// <summary>The model keeps whole lists, and counts tokens by looking at when connections came.</summary>
    [Fact]
    public void It_behaves_like_a_list_of_who_is_there_and_when_they_came() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            const int most = 3, perSecond = 4;
            using AddressTable table = Table(new LimitOptions { PerAddress = most, PerAddressRate = perSecond });
            List<(ClientAddress Client, bool IsLimited, bool IsIn)> there = [];
            Dictionary<ClientAddress, long> full = [];
            long now = 5 * Second;
            foreach ((Step step, int which) in steps)
            {
                ClientAddress client = Clients[which % Clients.Length];
                int at = there.Count == 0 ? -1 : which % there.Count;
                switch (step)
                {
                    case Step.Arrive:
                        Limit? expected = there.Count(other => other.IsLimited && other.Client == client) == most ? Limit.PerAddress
                            : full.GetValueOrDefault(client) + Second / perSecond > now + Second ? Limit.PerAddressRate : null;
                        Assert.Equal(expected, table.Arrive(client, isLimited: true, now));
                        if (expected is not null) break;
                        full[client] = Math.Max(now, full.GetValueOrDefault(client)) + Second / perSecond;
                        there.Add((client, true, false));
                        break;
                    case Step.ArriveExempt:
                        Assert.Null(table.Arrive(client, isLimited: false, now));
                        there.Add((client, false, false));
                        break;
                    case Step.LogIn when at >= 0 && !there[at].IsIn:
                        table.LogIn(there[at].Client, now);
                        there[at] = there[at] with { IsIn = true };
                        break;
                    case Step.Leave when at >= 0:
                        table.Leave(there[at].Client, there[at].IsLimited, there[at].IsIn, now);
                        there.RemoveAt(at);
                        break;
                    case Step.Wait:
                        now += 125 * (which % 5);
                        break;
                }

                Assert.All(Clients, any => Assert.Equal(there.Count(one => one.Client == any && !one.IsIn), table.NotLoggedIn(any)));
            }

            now += Second;
            foreach ((ClientAddress client, bool isLimited, bool isIn) in there) table.Leave(client, isLimited, isIn, now);

            // Those whose last connection left before its bucket was full are found when others arrive.
            ClientAddress visitor = AddressOf("198.51.100.1");
            for (int i = 0; i < 10_000 && table.Count > 0; i++)
            {
                visitor = new ClientAddress(visitor.Value + 1);
                table.Arrive(visitor, isLimited: false, now);
                table.Leave(visitor, isLimited: false, hadLoggedIn: false, now);
            }

            Assert.Equal(0, table.Count);
        }));

    private static AddressTable Table(LimitOptions options, int most = 1 << 20) => new(options, most);

    private static ClientAddress AddressOf(string text) => ClientAddress.Of(new NativeAddress(new IPEndPoint(IPAddress.Parse(text), 1)));
}
