using System.Net;
using System.Runtime.CompilerServices;
using Megaphone.Hub;
using Megaphone.Interop;
using Megaphone.Values;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>Which backend a session is connected to, and which are tried for it.</summary>
public sealed class BackendAddressesTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<BackendAddresses> _made = [];
    private IPAddress[] _answer = [IPAddress.Parse("192.0.2.1"), IPAddress.Parse("192.0.2.2")];

    [Fact]
    public void What_a_connection_keeps_of_it_needs_no_room_of_its_own() =>
        Assert.Equal((9, 24), (Unsafe.SizeOf<BackendAttempts>(), Unsafe.SizeOf<BackendConnection>()));

    [Fact]
    public void An_address_is_used_as_it_is()
    {
        BackendAddresses addresses = Of("192.0.2.7");
        BackendAttempts attempts = Take(addresses, out string first);
        Assert.Equal("192.0.2.7:1", first);
        Assert.False(addresses.TryNext(ref attempts, out _));
    }

    [Fact]
    public void A_name_stands_for_all_its_addresses()
    {
        BackendAddresses addresses = Of("node.example.org");
        Assert.Equal(["192.0.2.1:1", "192.0.2.2:1"], TryAll(addresses));
    }

    [Fact]
    public void Without_an_address_a_session_cannot_be_connected()
    {
        _answer = [];
        Assert.False(Of("node.example.org").TryStart(out _, out _));
    }

    [Fact]
    public void A_session_goes_to_the_backend_with_the_fewest()
    {
        BackendAddresses addresses = Of("192.0.2.1", "192.0.2.2", "192.0.2.3");
        BackendAttempts[] sessions = new BackendAttempts[30];
        Dictionary<string, List<int>> at = [];
        for (int i = 0; i < sessions.Length; i++)
        {
            sessions[i] = Take(addresses, out string address);
            if (!at.TryAdd(address, [i])) at[address].Add(i);
        }

        Assert.All(at.Values, ofOne => Assert.Equal(10, ofOne.Count));
        foreach (int i in at["192.0.2.2:1"][..4]) addresses.Release(ref sessions[i]);
        for (int i = 0; i < 4; i++)
        {
            Take(addresses, out string freed);
            Assert.Equal("192.0.2.2:1", freed);
        }

        Assert.All(addresses.Status(), backend => Assert.Equal((1, 10), (backend.Up, backend.Sessions)));
    }

    [Fact]
    public void Each_backend_is_tried_once_for_a_session()
    {
        BackendAddresses addresses = Of("192.0.2.1", "192.0.2.2", "192.0.2.3");
        for (int i = 0; i < 3; i++) Assert.Equal(["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"], TryAll(addresses));
        Assert.All(addresses.Status(), backend => Assert.Equal((0, 0), (backend.Up, backend.Sessions)));
    }

    [Fact]
    public void A_backend_that_refused_gets_no_sessions_until_one_has_tried_it()
    {
        BackendAddresses addresses = Of("192.0.2.1", "192.0.2.2");
        BackendAttempts attempts = Take(addresses, out string refusing);
        Assert.True(addresses.TryNext(ref attempts, out NativeAddress other));
        string working = other.ToEndPoint().ToString();
        AssertAllGoTo(addresses, working);

        // Of many sessions a single one tries it after the back-off, which doubles.
        _time.Advance(TimeSpan.FromSeconds(1));
        BackendAttempts trying = Take(addresses, out string tried);
        Assert.Equal(refusing, tried);
        AssertAllGoTo(addresses, working);
        Assert.True(addresses.TryNext(ref trying, out _));
        _time.Advance(TimeSpan.FromSeconds(1.9));
        AssertAllGoTo(addresses, working);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        trying = Take(addresses, out tried);
        Assert.Equal(refusing, tried);

        // It has the fewest now.
        addresses.Succeeded(trying);
        AssertAllGoTo(addresses, refusing);
    }

    [Fact]
    public void A_backend_that_has_left_gets_no_sessions_and_keeps_those_that_it_has()
    {
        BackendAddresses addresses = Of("node.example.org");
        BackendAttempts[] before = [Take(addresses, out _), Take(addresses, out _)];
        _answer = _answer[..1];
        for (int i = 0; i < 3; i++) _time.Advance(TimeSpan.FromSeconds(30));
        AssertAllGoTo(addresses, "192.0.2.1:1");
        Assert.Equal((1, 12), (addresses.Status()[0].Up, addresses.Status()[0].Sessions));

        // Its place is another's when its last session is over.
        for (int i = 0; i < 2; i++) addresses.Release(ref before[i]);
        Assert.Equal(10, addresses.Status()[0].Sessions);
    }

    [Fact]
    public void Addresses_may_come_and_go_for_ever()
    {
        BackendAddresses addresses = Of("node.example.org");
        for (int i = 0; i < 1000; i++)
        {
            _answer = [new IPAddress((byte[])[10, 0, (byte)(i >> 8), (byte)i])];
            _time.Advance(TimeSpan.FromSeconds(90));
        }

        _time.Advance(TimeSpan.FromSeconds(90));
        AssertAllGoTo(addresses, "10.0.3.231:1");
    }

    public void Dispose() => _made.ForEach(addresses => addresses.Dispose());

    private static BackendAttempts Take(BackendAddresses addresses, out string address)
    {
        Assert.True(addresses.TryStart(out BackendAttempts attempts, out NativeAddress first));
        address = first.ToEndPoint().ToString();
        return attempts;
    }

    private static void AssertAllGoTo(BackendAddresses addresses, string address)
    {
        for (int i = 0; i < 10; i++)
        {
            Take(addresses, out string given);
            Assert.Equal(address, given);
        }
    }

    private static IEnumerable<string> TryAll(BackendAddresses addresses)
    {
        BackendAttempts attempts = Take(addresses, out string first);
        List<string> tried = [first];
        while (addresses.TryNext(ref attempts, out NativeAddress next)) tried.Add(next.ToEndPoint().ToString());
        return tried.Order();
    }

    private BackendAddresses Of(params string[] hosts)
    {
        HubLog log = new(NullLogger<HubRole>.Instance);
        BackendAddresses addresses = new(
            [.. hosts.Select(host => new HostPort(host, 1))], log, (_, _) => Task.FromResult(_answer), _time);
        _made.Add(addresses);
        addresses.Start();
        return addresses;
    }
}
