using System.Net;
using Megaphone.Links;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Section 6 of the link protocol: a wrong secret delays further attempts from its address, and from no other.</summary>
public class AuthenticationThrottleTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly PeerAddress Guesser = Address("192.0.2.1");

    private readonly FakeTimeProvider _time = new();
    private readonly AuthenticationThrottle _secrets;

    public AuthenticationThrottleTests() => _secrets = new AuthenticationThrottle(_time);

    [Fact]
    public void An_address_without_failures_never_waits()
    {
        for (int i = 0; i < 100; i++) Assert.Equal(TimeSpan.Zero, Wait(Guesser));
    }

    [Fact]
    public void After_a_failure_each_attempt_takes_the_next_second_up_to_four_and_other_addresses_do_not_wait()
    {
        Fail(Guesser);
        for (int i = 1; i <= 4; i++) Assert.Equal(i * Second, Wait(Guesser));
        Assert.Null(Wait(Guesser));
        Assert.Equal(TimeSpan.Zero, Wait(Address("192.0.2.2")));

        // A refused attempt has reserved no time.
        _time.Advance(Second);
        Assert.Equal(4 * Second, Wait(Guesser));
        Assert.Null(Wait(Guesser));
    }

    [Fact]
    public void A_second_after_a_failure_no_attempt_waits()
    {
        Fail(Guesser);
        _time.Advance(Second);
        Assert.Equal(TimeSpan.Zero, Wait(Guesser));
        Assert.Equal(TimeSpan.Zero, Wait(Guesser));
    }

    [Fact]
    public void Concurrent_failures_that_had_not_waited_cost_a_second_each()
    {
        for (int i = 0; i < 4; i++) Fail(Guesser);
        Assert.Equal(4 * Second, Wait(Guesser));
        for (int i = 0; i < 100; i++) Fail(Guesser);
        Assert.Null(Wait(Guesser));
    }

    [Fact]
    public void There_is_one_guess_a_second_on_however_many_links()
    {
        // Each attempt is made as soon as allowed, on a hundred links at a time.
        List<TimeSpan> due = [];
        int guesses = 0;
        for (TimeSpan now = TimeSpan.Zero; now < 60 * Second; now += Second / 10)
        {
            foreach (TimeSpan _ in due.Where(at => at <= now)) Guess(hadWaited: true);
            due.RemoveAll(at => at <= now);
            for (int link = 0; link < 100; link++)
            {
                if (Wait(Guesser) is not { } wait) continue;
                if (wait == TimeSpan.Zero) Guess(hadWaited: false);
                else due.Add(now + wait);
            }

            _time.Advance(Second / 10);
        }

        Assert.InRange(guesses, 50, 61);

        void Guess(bool hadWaited)
        {
            guesses++;
            _secrets.AddFailure(Guesser, hadWaited);
        }
    }

    [Fact]
    public void A_failure_after_its_reserved_time_still_costs_a_second()
    {
        Fail(Guesser);
        Assert.Equal(Second, Wait(Guesser));
        _time.Advance(5 * Second);
        _secrets.AddFailure(Guesser, hadWaited: true);
        Assert.Equal(Second, Wait(Guesser));
    }

    [Fact]
    public void When_there_are_too_many_addresses_those_that_expire_first_are_removed()
    {
        for (int i = 0; i < 3; i++) Fail(Guesser);
        PeerAddress first = Address("2001:db8::1");
        Fail(first);
        for (int i = 2; i < AuthenticationThrottle.MaxAddresses; i++) Fail(Address($"2001:db8:1:{i:x}::1"));
        _time.Advance(Second / 2);
        Fail(Address("198.51.100.1"));

        Assert.Equal(2.5 * Second, Wait(Guesser));
        Assert.Equal(Second, Wait(Address("198.51.100.1")));
        Assert.Equal(1, Enumerable.Range(2, AuthenticationThrottle.MaxAddresses - 2).Select(i => Address($"2001:db8:1:{i:x}::1")).Append(first)
            .Count(address => Wait(address) == TimeSpan.Zero));
    }

    private static PeerAddress Address(string address) => PeerAddress.Of(new IPEndPoint(IPAddress.Parse(address), 1));

    private TimeSpan? Wait(PeerAddress address) => _secrets.TryReserveAttempt(address, out TimeSpan wait) ? wait : null;

    private void Fail(PeerAddress address) => _secrets.AddFailure(address, hadWaited: false);
}
