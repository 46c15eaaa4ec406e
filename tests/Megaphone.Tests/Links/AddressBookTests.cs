using System.Net;
using Megaphone.Links;
using Megaphone.Unix;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Which addresses a name has, when name servers give answers of all kinds.</summary>
public class AddressBookTests
{
    private readonly AddressBook _book = new(new HostPort("node.example.org", 6280));
    private TimeSpan _now;

    [Fact]
    public void A_Unix_socket_is_known_and_never_looked_up()
    {
        HostPort target = new("unix:/run/megaphone/links.sock", 0);
        TargetAddress address = Assert.Single(new AddressBook(target).Addresses);
        Assert.Equal(UnixEndPoint.Parse("unix:/run/megaphone/links.sock"), address.EndPoint);
        Assert.Equal(("unix:/run/megaphone/links.sock", "unix:/run/megaphone/links.sock"), ($"{address}", $"{target}"));
    }

    [Fact]
    public void An_address_is_used_as_it_is()
    {
        AddressBook book = new(new HostPort("192.0.2.7", 6280));
        Assert.Equal(["192.0.2.7:6280"], book.Addresses.Select(address => address.ToString()));
    }

    [Fact]
    public void Every_address_of_an_answer_is_used_with_the_targets_port()
    {
        Assert.True(Answer("192.0.2.1", "2001:db8::1"));
        Assert.Equal(["192.0.2.1:6280", "[2001:db8::1]:6280"], _book.Addresses.Select(address => address.EndPoint.ToString()));
        Assert.Equal("node.example.org:6280 (192.0.2.1)", _book.Addresses[0].ToString());
    }

    [Fact]
    public void An_address_of_IPv4_is_one_address_however_it_is_written()
    {
        Answer("192.0.2.1", "::ffff:192.0.2.1");
        Assert.Single(_book.Addresses);
        Assert.False(Answer("::ffff:192.0.2.1"));
    }

    [Fact]
    public void An_empty_answer_changes_nothing_however_often_it_comes()
    {
        Answer("192.0.2.1");
        for (int i = 0; i < 10; i++) Assert.False(Answer());
        Assert.Single(_book.Addresses);
    }

    [Fact]
    public void An_address_has_left_when_three_answers_in_a_row_lack_it()
    {
        Answer("192.0.2.1", "192.0.2.2");
        Assert.False(Answer("192.0.2.1"));
        Assert.False(Answer("192.0.2.1"));
        Assert.Equal(2, _book.Addresses.Count);
        Assert.True(Answer("192.0.2.1"));
        Assert.Equal("192.0.2.1", ((IPEndPoint)Assert.Single(_book.Addresses).EndPoint).Address.ToString());
    }

    [Fact]
    public void An_address_that_answers_lack_now_and_then_stays()
    {
        // A server that gives out two of its three addresses at a time.
        string[] all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        for (int i = 0; i < 30; i++) Answer(all[i % 3], all[(i + 1) % 3]);
        Assert.Equal(3, _book.Addresses.Count);
    }

    [Fact]
    public void Answers_that_come_in_quick_succession_put_nobody_out()
    {
        Answer("192.0.2.1", "192.0.2.2");
        for (int i = 0; i < 20; i++) Assert.False(Answer(TimeSpan.FromSeconds(1), "192.0.2.1"));
        Assert.Equal(2, _book.Addresses.Count);
    }

    [Fact]
    public void An_address_that_has_left_may_come_back()
    {
        Answer("192.0.2.1", "192.0.2.2");
        for (int i = 0; i < 3; i++) Answer("192.0.2.1");
        Assert.True(Answer("192.0.2.2"));
        Assert.Equal(2, _book.Addresses.Count);
    }

    private bool Answer(params string[] addresses) => Answer(TargetLookup.Interval, addresses);

    private bool Answer(TimeSpan after, params string[] addresses) =>
        _book.Update([.. addresses.Select(IPAddress.Parse)], _now += after);
}
