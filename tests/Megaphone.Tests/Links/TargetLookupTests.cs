using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Values;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>When names are looked up, and what is passed on.</summary>
public sealed class TargetLookupTests : IDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly ConcurrentDictionary<string, Func<Task<IPAddress[]>>> _answers = new();
    private readonly List<string> _asked = [];
    private readonly List<string> _failures = [];
    private string _addresses = "";
    private TargetLookup? _lookup;

    [Fact]
    public void Addresses_are_there_at_once_and_never_looked_up()
    {
        Start("192.0.2.1:1", "[2001:db8::1]:2");
        Assert.Equal("192.0.2.1:1 [2001:db8::1]:2", _addresses);
        _time.Advance(TimeSpan.FromMinutes(5));
        _lookup!.Request();
        Assert.Empty(_asked);
    }

    [Fact]
    public void A_name_is_looked_up_every_30_seconds()
    {
        Answer("a", "192.0.2.1");
        Start("a:1");
        Assert.Equal("a:1 (192.0.2.1)", _addresses);
        Answer("a", "192.0.2.1", "192.0.2.2");
        _time.Advance(29 * Second);
        Assert.Single(_asked);
        _time.Advance(Second);
        Assert.Equal("a:1 (192.0.2.1) a:1 (192.0.2.2)", _addresses);
        Assert.Equal(2, _asked.Count);
    }

    [Fact]
    public void It_is_looked_up_soon_when_that_is_wanted_but_not_more_than_once_a_second()
    {
        Answer("a", "192.0.2.1");
        Start("a:1");
        for (int i = 0; i < 100; i++) _lookup!.Request();
        Assert.Single(_asked);
        _time.Advance(Second);
        Assert.Equal(2, _asked.Count);
        _time.Advance(10 * Second);
        _lookup!.Request();
        _time.Advance(TimeSpan.Zero);
        Assert.Equal(3, _asked.Count);
    }

    [Fact]
    public void A_look_up_that_fails_is_repeated_with_back_off_and_told_once()
    {
        Fail("a", SocketError.TryAgain);
        Start("a:1");
        List<int> at = [];
        for (int second = 1; second <= 100; second++)
        {
            int before = _asked.Count;
            _time.Advance(Second);
            if (_asked.Count > before) at.Add(second);
        }

        Assert.Equal([1, 3, 7, 15, 31, 61, 91], at);
        Assert.StartsWith("a:1: ", Assert.Single(_failures), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_known_stays_while_look_ups_fail()
    {
        Answer("a", "192.0.2.1");
        Start("a:1");
        Fail("a", SocketError.HostNotFound);
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal("a:1 (192.0.2.1)", _addresses);
        Assert.Single(_failures);

        // The end of one failure is the beginning of the next.
        Answer("a", "192.0.2.1");
        _time.Advance(30 * Second);
        Fail("a", SocketError.HostNotFound);
        _time.Advance(30 * Second);
        Assert.Equal(2, _failures.Count);
    }

    [Fact]
    public void An_empty_answer_is_a_failure()
    {
        Answer("a");
        Start("a:1");
        Assert.Equal("", _addresses);
        Assert.Equal(["a:1: the name has no address"], _failures);
    }

    [Fact]
    public async Task A_name_server_that_does_not_answer_is_given_up_after_ten_seconds()
    {
        _answers["a"] = () => new TaskCompletionSource<IPAddress[]>().Task;
        Task first = Start("a:1");
        _time.Advance(10 * Second);
        await BoundedWait.WithinAsync(first, "the end of the first look-up");
        Assert.Equal(["a:1: no answer within 10 s"], _failures);
    }

    [Fact]
    public void One_name_that_fails_keeps_no_other_from_being_used()
    {
        Fail("a", SocketError.TryAgain);
        Answer("b", "192.0.2.2");
        Start("a:1", "b:2", "192.0.2.3:3");
        Assert.Equal("b:2 (192.0.2.2) 192.0.2.3:3", _addresses);
    }

    [Fact]
    public void Nothing_is_passed_on_after_the_end()
    {
        TaskCompletionSource<IPAddress[]> late = new();
        _answers["a"] = () => late.Task;
        Start("a:1");
        _lookup!.Dispose();
        late.SetResult([IPAddress.Loopback]);
        _time.Advance(TimeSpan.FromMinutes(5));
        _lookup.Request();
        Assert.Equal("", _addresses);
        Assert.Single(_asked);
    }

    public void Dispose() => _lookup?.Dispose();

    private Task Start(params string[] targets)
    {
        HostPort[] all = [.. targets.Select(target => HostPort.TryParse(target, out HostPort? value) ? value! : throw new ArgumentException(target))];
        _lookup = new TargetLookup(
            all,
            addresses => _addresses = string.Join(' ', addresses),
            (target, reason) => _failures.Add($"{target}: {reason}"),
            (host, _) =>
            {
                _asked.Add(host);
                return _answers[host]();
            },
            _time);
        return _lookup.StartAsync();
    }

    private void Answer(string name, params string[] addresses) =>
        _answers[name] = () => Task.FromResult<IPAddress[]>([.. addresses.Select(IPAddress.Parse)]);

    private void Fail(string name, SocketError error) => _answers[name] = () => Task.FromException<IPAddress[]>(new SocketException((int)error));
}
