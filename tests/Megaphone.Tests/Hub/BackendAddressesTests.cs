using System.Net;
using Megaphone.Hub;
using Megaphone.Interop;
using Megaphone.Values;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>The order in which a backend's addresses are tried.</summary>
public class BackendAddressesTests
{
    private static readonly HubLog Log = new(NullLogger<HubRole>.Instance);

    [Fact]
    public void An_address_is_used_as_it_is()
    {
        using BackendAddresses addresses = new(new HostPort("192.0.2.7", 5222), Log);
        Assert.True(addresses.TryStart(out BackendAddresses.Candidates candidates, out NativeAddress first));
        Assert.Equal(IPEndPoint.Parse("192.0.2.7:5222"), first.ToEndPoint());
        Assert.False(addresses.TryNext(ref candidates, out _));
    }

    [Fact]
    public void A_name_is_resolved()
    {
        using BackendAddresses addresses = new(new HostPort("localhost", 5222), Log);
        Assert.True(addresses.TryStart(out _, out NativeAddress first));
        Assert.True(IPAddress.IsLoopback(first.ToEndPoint().Address));
        Assert.Equal(5222, first.Port);
    }

    [Fact]
    public void An_unresolvable_name_has_no_address()
    {
        using BackendAddresses addresses = new(new HostPort("no.such.host.invalid", 5222), Log);
        Assert.False(addresses.TryStart(out _, out _));
    }

    [Fact]
    public void Each_address_is_tried_once_starting_with_the_one_connected_last()
    {
        NativeAddress[] three = Addresses(1, 2, 3);
        using BackendAddresses addresses = new(new HostPort("192.0.2.7", 1), Log);
        addresses.Update(three);
        for (int preferred = 0; preferred < 3; preferred++)
        {
            Assert.True(addresses.TryStart(out BackendAddresses.Candidates candidates, out NativeAddress first));
            List<NativeAddress> tried = [first];
            BackendAddresses.Candidates second = candidates;
            while (addresses.TryNext(ref candidates, out NativeAddress next)) tried.Add(next);
            Assert.Equal([three[preferred], three[(preferred + 1) % 3], three[(preferred + 2) % 3]], tried);

            Assert.True(addresses.TryNext(ref second, out _));
            addresses.Succeeded(second);
        }
    }

    [Fact]
    public void A_session_starts_over_when_the_addresses_change()
    {
        using BackendAddresses addresses = new(new HostPort("192.0.2.7", 1), Log);
        addresses.Update(Addresses(1, 2));
        Assert.True(addresses.TryStart(out BackendAddresses.Candidates candidates, out _));
        NativeAddress[] others = Addresses(3, 4);
        addresses.Update(others);
        addresses.Succeeded(candidates);
        List<NativeAddress> tried = [];
        while (addresses.TryNext(ref candidates, out NativeAddress next)) tried.Add(next);
        Assert.Equal(others, tried);
    }

    private static NativeAddress[] Addresses(params int[] last) =>
        [.. last.Select(i => new NativeAddress(IPEndPoint.Parse($"192.0.2.{i}:1")))];
}
