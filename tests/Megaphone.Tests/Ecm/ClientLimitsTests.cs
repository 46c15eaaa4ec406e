using System.Net;
using Megaphone.Ecm;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tests.Handover;
using Xunit;

namespace Megaphone.Tests.Ecm;

public sealed class ClientLimitsTests : IDisposable
{
    private static readonly NativeAddress Peer = new(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 50_000));

    private readonly RoleMetrics _metrics = new(Role.Ecm);
    private readonly ClientLimits _limits;

    public ClientLimitsTests() => _limits = new ClientLimits(new LimitOptions { PerAddress = 2 }, 100, _metrics);

    public void Dispose() => _limits.Dispose();

    [Fact]
    public void A_client_counts_until_it_has_gone_whether_it_has_logged_in_or_not()
    {
        Assert.True(_limits.TryArrive(Peer));
        _limits.Begin(new ConnectionId(1), Peer);
        _limits.Admit(new ConnectionId(1), isUser: true, isProxied: false);
        Assert.True(_limits.TryArrive(Peer));
        _limits.Begin(new ConnectionId(2), Peer);
        Assert.False(_limits.TryArrive(Peer));
        Assert.Equal(1, _metrics.Limited(Limit.PerAddress));

        _limits.Leave(new ConnectionId(1), isUser: true);
        Assert.True(_limits.TryArrive(Peer));
        _limits.TurnAway(Peer);
        Assert.True(_limits.TryArrive(Peer));
        Assert.False(_limits.TryArrive(Peer));
        _limits.Leave(new ConnectionId(2), isUser: true);
        Assert.True(_limits.TryArrive(Peer));
    }

    [Fact]
    public void Nothing_limits_who_connects_over_a_Unix_socket_but_who_a_proxy_names_there_is_limited()
    {
        LimitOptions strict = new()
        {
            PerAddress = 1,
            PerAddressRate = 1,
            Allow = [IPNetwork.Parse("192.0.2.0/24")],
            Deny = [IPNetwork.Parse("2001:db8::/32")],
            Exempt = [],
        };
        using ClientLimits limits = new(strict, 100, _metrics);
        for (ulong id = 1; id <= 10; id++)
        {
            Assert.True(limits.TryArrive(NativeAddress.Unix));
            limits.Begin(new ConnectionId(id), NativeAddress.Unix);
        }

        Assert.Equal(10, limits.NotLoggedIn(NativeAddress.Unix));
        Assert.True(limits.TryFind(new ConnectionId(1), out ClientAddress address) && address.IsUnix);
        for (ulong id = 1; id <= 10; id++) limits.Leave(new ConnectionId(id), isUser: true);
        Assert.Equal(0, limits.NotLoggedIn(NativeAddress.Unix));
        Assert.True(limits.TryArrive(Peer));
        Assert.False(limits.TryArrive(Peer));
    }

    [Fact]
    public void Who_gives_way_has_not_logged_in_and_has_an_address_with_very_many_such_and_more_than_the_newcomers()
    {
        NativeAddress newcomer = new(new IPEndPoint(IPAddress.Parse("192.0.2.2"), 50_000));
        using ClientLimits limits = new(new LimitOptions(), 100, _metrics);
        for (ulong id = 1; id <= ClientLimits.FewOfAddress; id++) Arrive(id, Peer);
        Arrive(100, newcomer);
        Assert.False(limits.TryFindBusiest(newcomer, out _));

        Arrive(17, Peer);
        Assert.True(limits.TryFindBusiest(newcomer, out ConnectionId busiest));
        Assert.InRange(busiest.Value, 1u, 17u);
        Assert.False(limits.TryFindBusiest(Peer, out _));
        for (ulong id = 101; id <= 116; id++) Arrive(id, newcomer);
        Assert.False(limits.TryFindBusiest(newcomer, out _));

        for (ulong id = 1; id <= 17; id++) limits.Admit(new ConnectionId(id), isUser: true, isProxied: false);
        NativeAddress another = new(new IPEndPoint(IPAddress.Parse("192.0.2.3"), 50_000));
        Assert.True(limits.TryFindBusiest(another, out busiest));
        Assert.InRange(busiest.Value, 100u, 116u);

        void Arrive(ulong id, NativeAddress peer)
        {
            Assert.True(limits.TryArrive(peer));
            limits.Begin(new ConnectionId(id), peer);
        }
    }

    [Fact]
    public void Those_who_are_logged_in_are_counted_and_how_long_it_took_them()
    {
        for (ulong id = 1; id <= 2; id++)
        {
            _limits.TryArrive(Peer);
            _limits.Begin(new ConnectionId(id), Peer);
        }

        Assert.Equal(0, _metrics.LoggedIn);
        _limits.Admit(new ConnectionId(1), isUser: true, isProxied: false);
        _limits.Admit(new ConnectionId(2), isUser: true, isProxied: false);
        Assert.Equal(2, _metrics.LoggedIn);
        Assert.Equal(2, Enumerable.Range(0, TimeHistogram.LongBounds.Count + 1).Sum(bound => _metrics.Logins.Count(bound)));
        _limits.Leave(new ConnectionId(1), isUser: true);
        _limits.Leave(new ConnectionId(2), isUser: true);
        Assert.Equal(0, _metrics.LoggedIn);
    }

    [Fact]
    public void Who_is_relayed_is_no_stranger_and_does_not_count_among_those_who_are_logged_in()
    {
        _limits.TryArrive(Peer);
        _limits.Begin(new ConnectionId(1), Peer);
        _limits.Admit(new ConnectionId(1), isUser: false, isProxied: false);
        Assert.Equal(0, _limits.NotLoggedIn(Peer));
        Assert.Equal(0, _metrics.LoggedIn);
        Assert.True(_limits.TryArrive(Peer));
        Assert.False(_limits.TryArrive(Peer));
        _limits.Leave(new ConnectionId(1), isUser: false);
        Assert.Equal(0, _metrics.LoggedIn);
        Assert.True(_limits.TryArrive(Peer));
    }

    [Fact]
    public void After_a_reload_those_who_are_there_are_counted_and_none_of_them_is_kept_out()
    {
        for (ulong id = 1; id <= 2; id++)
        {
            _limits.TryArrive(Peer);
            _limits.Begin(new ConnectionId(id), Peer);
        }

        _limits.Admit(new ConnectionId(1), isUser: true, isProxied: false);
        using ClientLimits next = HandedOver.Copy(_limits.Save, reader => Restored(reader, perAddress: 1));
        Assert.Equal(1, next.NotLoggedIn(Peer));
        Assert.False(next.TryArrive(Peer));
        next.Leave(new ConnectionId(1), isUser: true);
        Assert.False(next.TryArrive(Peer));
        next.Leave(new ConnectionId(2), isUser: true);
        Assert.Equal(0, next.NotLoggedIn(Peer));
        Assert.True(next.TryArrive(Peer));
    }

    [Fact]
    public void A_client_that_is_there_twice_or_comes_from_no_address_is_not_taken_over()
    {
        _limits.Begin(new ConnectionId(1), Peer);
        byte[] body = HandedOver.Body(_limits.Save);
        byte[] twice = [2, 0, 0, 0, .. body[4..24], .. body[4..]];
        byte[] nowhere = [.. body];
        nowhere.AsSpan(12, sizeof(ulong)).Fill(0xFF);
        byte[] tooMany = [.. body];
        tooMany[0] = 2;
        Assert.All(
            [twice, nowhere, tooMany],
            damaged => Assert.Throws<StateException>(() => HandedOver.Read(damaged, reader => Restored(reader, perAddress: 1))));
    }

    private ClientLimits Restored(StateReader reader, int perAddress)
    {
        ClientLimits next = new(new LimitOptions { PerAddress = perAddress }, 100, _metrics);
        next.Restore(reader);
        return next;
    }

    [Fact]
    public void The_address_of_a_client_is_kept_where_it_is_limited_or_a_proxy_has_named_it()
    {
        using ClientLimits unlimited = new(new LimitOptions(), 100, _metrics);
        for (ulong id = 1; id <= 2; id++)
        {
            unlimited.TryArrive(Peer);
            unlimited.Begin(new ConnectionId(id), Peer);
            Assert.True(unlimited.TryFind(new ConnectionId(id), out ClientAddress address));
            Assert.Equal("192.0.2.1", address.ToString());
            unlimited.Admit(new ConnectionId(id), isUser: true, isProxied: id == 2);
        }

        Assert.False(unlimited.TryFind(new ConnectionId(1), out _));
        Assert.True(unlimited.TryFind(new ConnectionId(2), out _));
        unlimited.Leave(new ConnectionId(2), isUser: true);
        Assert.False(unlimited.TryFind(new ConnectionId(2), out _));
    }
}
