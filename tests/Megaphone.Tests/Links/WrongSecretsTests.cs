using System.Net;
using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Section 6 of the link protocol: a wrong secret costs its address time, and nobody else.</summary>
public class WrongSecretsTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly PeerAddress Guesser = Address("192.0.2.1");

    private readonly ManualTime _time = new();
    private readonly WrongSecrets _secrets;

    public WrongSecretsTests() => _secrets = new WrongSecrets(_time);

    [Fact]
    public void An_address_without_failures_never_waits()
    {
        for (int i = 0; i < 100; i++) Assert.Equal(TimeSpan.Zero, Wait(Guesser));
    }

    [Fact]
    public void Behind_a_wrong_one_each_takes_the_next_second_up_to_four_and_others_are_not_held_up()
    {
        Fail(Guesser);
        for (int i = 1; i <= 4; i++) Assert.Equal(i * Second, Wait(Guesser));
        Assert.Null(Wait(Guesser));
        Assert.Equal(TimeSpan.Zero, Wait(Address("192.0.2.2")));

        // Whoever was refused took no time.
        _time.Advance(Second);
        Assert.Equal(4 * Second, Wait(Guesser));
        Assert.Null(Wait(Guesser));
    }

    [Fact]
    public void A_second_after_a_wrong_one_nobody_waits_any_more()
    {
        Fail(Guesser);
        _time.Advance(Second);
        Assert.Equal(TimeSpan.Zero, Wait(Guesser));
        Assert.Equal(TimeSpan.Zero, Wait(Guesser));
    }

    [Fact]
    public void Many_at_once_that_were_looked_at_before_the_first_was_wrong_cost_a_second_each()
    {
        for (int i = 0; i < 4; i++) Fail(Guesser);
        Assert.Equal(4 * Second, Wait(Guesser));
        for (int i = 0; i < 100; i++) Fail(Guesser);
        Assert.Null(Wait(Guesser));
    }

    [Fact]
    public void However_it_is_tried_there_is_one_guess_a_second()
    {
        // Each guesses as soon as it may, on a hundred links at a time.
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
            _secrets.Add(Guesser, hadWaited);
        }
    }

    [Fact]
    public void A_guess_that_was_late_for_its_turn_still_costs_a_second()
    {
        Fail(Guesser);
        Assert.Equal(Second, Wait(Guesser));
        _time.Advance(5 * Second);
        _secrets.Add(Guesser, hadWaited: true);
        Assert.Equal(Second, Wait(Guesser));
    }

    [Fact]
    public void Of_too_many_addresses_those_are_forgotten_that_are_over_soonest()
    {
        for (int i = 0; i < 3; i++) Fail(Guesser);
        PeerAddress first = Address("2001:db8::1");
        Fail(first);
        for (int i = 2; i < WrongSecrets.MaxAddresses; i++) Fail(Address($"2001:db8:1:{i:x}::1"));
        _time.Advance(Second / 2);
        Fail(Address("198.51.100.1"));

        Assert.Equal(2.5 * Second, Wait(Guesser));
        Assert.Equal(Second, Wait(Address("198.51.100.1")));
        Assert.Equal(1, Enumerable.Range(2, WrongSecrets.MaxAddresses - 2).Select(i => Address($"2001:db8:1:{i:x}::1")).Append(first)
            .Count(address => Wait(address) == TimeSpan.Zero));
    }

    private static PeerAddress Address(string address) => PeerAddress.Of(new IPEndPoint(IPAddress.Parse(address), 1));

    private TimeSpan? Wait(PeerAddress address) => _secrets.TryTakeTurn(address, out TimeSpan wait) ? wait : null;

    private void Fail(PeerAddress address) => _secrets.Add(address, hadWaited: false);
}
