using Megaphone.Ecm;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>What threads other than its reactor's know of a connection for the web.</summary>
public class WebSlotsTests
{
    private const int Capacity = 5000;
    private const int Owner = 3;
    private readonly WebSlots _slots = new(reactors: 2, Capacity);

    [Fact]
    public void An_id_of_nobody_has_no_slot()
    {
        _slots.Begin(new ConnectionId(7, 1, 4), Owner, listener: 0, WebPhase.Head);
        Assert.True(_slots.Has(new ConnectionId(7, 1, 4)));
        Assert.False(_slots.Has(new ConnectionId(7, 0, 4)));
        Assert.False(_slots.Has(new ConnectionId(6, 1, 4)));
        Assert.False(_slots.Has(new ConnectionId(7, 1, 5)));
        Assert.False(_slots.Has(new ConnectionId(7, 2, 4)));
        Assert.False(_slots.Has(new ConnectionId(7, 1, ConnectionId.MaxSlots - 1)));
        Assert.False(_slots.Has(default));
    }

    [Fact]
    public void The_next_connection_of_a_slot_finds_nothing_of_the_one_before()
    {
        ConnectionId first = new(7, 0, 4), second = new(8, 0, 4);
        _slots.Begin(first, Owner, listener: 0, WebPhase.Head);
        ref WebSlot slot = ref _slots[first];
        (slot.HasOpened, slot.IsSlow, slot.SilentLooks, slot.Server.Depth) = (true, true, 5, 2);
        _slots.Begin(second, Owner + 1, listener: 2, WebPhase.Relay);
        Assert.True(_slots.Has(second));
        Assert.False(_slots.Has(first));
        Assert.Equal((Owner + 1, 2, WebPhase.Relay), (slot.Owner, slot.Listener, slot.Phase));
        Assert.Equal((false, false, 0, 0), (slot.HasOpened, slot.IsSlow, slot.SilentLooks, slot.Server.Depth));
    }

    [Theory]
    [InlineData(7, 8)]
    [InlineData(uint.MaxValue, 1)]
    public void A_connection_that_is_over_before_it_begins_does_not_take_the_slot_from_the_next(uint over, uint next)
    {
        ConnectionId late = new(over, 0, 4), current = new(next, 0, 4);
        _slots.Begin(current, Owner, listener: 0, WebPhase.WebSocket);
        _slots.Begin(late, Owner, listener: 0, WebPhase.Relay);
        Assert.True(_slots.Has(current));
        Assert.Equal(WebPhase.WebSocket, _slots[current].Phase);
    }

    [Fact]
    public void Slots_that_were_given_back_are_nobodys_and_can_be_used_again()
    {
        ConnectionId kept = new(7, 0, 1023), gone = new(7, 0, 1024), last = new(7, 0, Capacity - 1);
        foreach (ConnectionId id in (ConnectionId[])[kept, gone, last]) _slots.Begin(id, Owner, listener: 0, WebPhase.Head);
        _slots.GiveBack(reactor: 0, first: 1024, count: 1024);
        _slots.GiveBack(reactor: 0, first: 4096, count: 1024);
        Assert.True(_slots.Has(kept));
        Assert.False(_slots.Has(gone));
        Assert.False(_slots.Has(last));
        _slots.Begin(gone, Owner, listener: 0, WebPhase.Head);
        Assert.True(_slots.Has(gone));
    }
}
