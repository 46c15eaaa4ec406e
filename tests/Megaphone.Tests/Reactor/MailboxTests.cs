using Megaphone.Interop;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Whatever is posted is taken once, and wakes whoever waits for it.</summary>
public sealed class MailboxTests : IDisposable
{
    private readonly Mailbox _mailbox = new();

    public void Dispose() => _mailbox.Dispose();

    [Fact]
    public void Connections_are_taken_in_the_order_in_which_they_were_posted()
    {
        for (ulong id = 1; id <= 3; id++) _mailbox.PostUpdate(new ConnectionId(id));
        Assert.Equal((Mailbox.Requests.None, "1 2 3"), Take());
        Assert.Equal((Mailbox.Requests.None, ""), Take());
    }

    [Fact]
    public void Requests_are_taken_once_however_often_they_were_posted()
    {
        _mailbox.Post(Mailbox.Requests.Sweep);
        _mailbox.Post(Mailbox.Requests.Sweep | Mailbox.Requests.ReleaseStalled);
        Assert.Equal((Mailbox.Requests.Sweep | Mailbox.Requests.ReleaseStalled, ""), Take());
        Assert.Equal((Mailbox.Requests.None, ""), Take());
    }

    [Fact]
    public void What_is_posted_while_the_taken_is_worked_on_is_not_lost()
    {
        _mailbox.PostUpdate(new ConnectionId(1));
        _mailbox.Take(out ReadOnlySpan<ConnectionId> updates);
        _mailbox.PostUpdate(new ConnectionId(2));
        _mailbox.Post(Mailbox.Requests.Stop);
        Assert.Equal(1UL, updates[0].Value);
        _mailbox.Clear();
        Assert.Equal((Mailbox.Requests.Stop, "2"), Take());
    }

    [Fact]
    public void More_connections_than_it_holds_stand_for_all()
    {
        for (ulong id = 1; id <= PostedIds.Capacity; id++) _mailbox.PostUpdate(new ConnectionId(id));
        Assert.Equal(Mailbox.Requests.None, _mailbox.Take(out ReadOnlySpan<ConnectionId> updates));
        Assert.Equal(PostedIds.Capacity, updates.Length);
        _mailbox.Clear();

        for (ulong id = 0; id <= PostedIds.Capacity; id++) _mailbox.PostUpdate(new ConnectionId(id));
        Assert.Equal(Mailbox.Requests.UpdateAll, _mailbox.Take(out _));
        _mailbox.Clear();
        Assert.Equal((Mailbox.Requests.None, ""), Take());
    }

    [Fact]
    public void Its_descriptor_is_readable_from_the_first_post_until_it_is_taken()
    {
        Assert.False(IsReadable());
        _mailbox.PostUpdate(new ConnectionId(1));
        Assert.True(IsReadable());
        _mailbox.PostUpdate(new ConnectionId(2));
        Take();
        Assert.False(IsReadable());
        _mailbox.Post(Mailbox.Requests.Sweep);
        Assert.True(IsReadable());
    }

    private unsafe bool IsReadable()
    {
        using Epoll epoll = new();
        epoll.Add(_mailbox.Descriptor, Libc.EpollIn, 7);
        EpollEvent one;
        return epoll.Wait(&one, 1, timeout: 0) == 1;
    }

    private (Mailbox.Requests Requests, string Updates) Take()
    {
        Mailbox.Requests requests = _mailbox.Take(out ReadOnlySpan<ConnectionId> updates);
        string ids = string.Join(' ', updates.ToArray().Select(id => id.Value));
        _mailbox.Clear();
        return (requests, ids);
    }
}
