using System.Net;
using Megaphone.Hub;
using Megaphone.Interop;
using Megaphone.Values;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>In which order a backend's addresses are tried.</summary>
public class BackendAddressesTests
{
    private static readonly HubLog Log = new(NullLogger<HubRole>.Instance);

    [Fact]
    public void An_address_stands_for_itself()
    {
        using BackendAddresses addresses = new(new HostPort("192.0.2.7", 5222), Log);
        Assert.True(addresses.TryStart(out BackendAddresses.Candidates candidates, out NativeAddress first));
        Assert.Equal(IPEndPoint.Parse("192.0.2.7:5222"), first.ToEndPoint());
        Assert.False(addresses.TryNext(ref candidates, out _));
    }

    [Fact]
    public void A_name_stands_for_what_the_machine_says()
    {
        using BackendAddresses addresses = new(new HostPort("localhost", 5222), Log);
        Assert.True(addresses.TryStart(out _, out NativeAddress first));
        Assert.True(IPAddress.IsLoopback(first.ToEndPoint().Address));
        Assert.Equal(5222, first.Port);
    }

    [Fact]
    public void A_name_that_cannot_be_resolved_gives_none()
    {
        using BackendAddresses addresses = new(new HostPort("no.such.host.invalid", 5222), Log);
        Assert.False(addresses.TryStart(out _, out _));
    }

    [Fact]
    public void Each_address_is_tried_once_beginning_with_the_one_that_answered_last()
    {
        NativeAddress[] three = Addresses(1, 2, 3);
        using BackendAddresses addresses = new(new HostPort("192.0.2.7", 1), Log);
        addresses.Use(three);
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
    public void Who_is_trying_when_the_addresses_change_begins_with_the_new_ones()
    {
        using BackendAddresses addresses = new(new HostPort("192.0.2.7", 1), Log);
        addresses.Use(Addresses(1, 2));
        Assert.True(addresses.TryStart(out BackendAddresses.Candidates candidates, out _));
        NativeAddress[] others = Addresses(3, 4);
        addresses.Use(others);
        addresses.Succeeded(candidates);
        List<NativeAddress> tried = [];
        while (addresses.TryNext(ref candidates, out NativeAddress next)) tried.Add(next);
        Assert.Equal(others, tried);
    }

    private static NativeAddress[] Addresses(params int[] last) =>
        [.. last.Select(i => new NativeAddress(IPEndPoint.Parse($"192.0.2.{i}:1")))];
}
