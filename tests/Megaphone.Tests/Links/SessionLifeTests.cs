using Megaphone.Links;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Sections 2 and 4 of the link protocol: how one end of a session tells the other that it is over.</summary>
public sealed class SessionLifeTests : IDisposable
{
    private const string Hello = """{"op":"hello","version":1,"framing":"bytes","maxPacket":1048576}""";

    private readonly TestLink _plain = new(LinkOrigin.ConnectedPlain);

    [Fact]
    public void A_session_opens_with_its_first_packet()
    {
        SessionLife life = default;
        Assert.False(life.IsOpened);
        Assert.True(life.Open());
        Assert.False(life.Open());
        Assert.True(life.IsOpened);
        Assert.True(SessionLife.OpenedByPeer().IsOpened);
    }

    [Fact]
    public void A_session_that_was_never_opened_sends_no_end()
    {
        SessionLife life = default;
        Assert.True(life.TrySendClose(_plain.Link, 7, CloseReason.Ended));
        Assert.True(_plain.Link.Ring.IsIdle);
    }

    [Fact]
    public void An_end_that_the_other_side_knows_is_not_sent()
    {
        foreach (CloseReason reason in new[] { CloseReason.LinkLost, CloseReason.ResetByPeer })
        {
            SessionLife life = SessionLife.OpenedByPeer();
            Assert.True(life.TrySendClose(_plain.Link, 7, reason));
        }

        Assert.True(_plain.Link.Ring.IsIdle);
    }

    [Fact]
    public void Nothing_is_sent_on_a_link_that_is_down()
    {
        SessionLife life = SessionLife.OpenedByPeer();
        Assert.True(life.TrySendClose(null, 7, CloseReason.SocketError));
    }

    [Fact]
    public void Each_end_is_sent_once()
    {
        SessionLife life = SessionLife.OpenedByPeer();
        for (int i = 0; i < 3; i++) Assert.True(life.TrySendEnd(_plain.Link, 7));
        for (int i = 0; i < 3; i++) Assert.True(life.TrySendClose(_plain.Link, 7, CloseReason.Ended));
        _plain.Link.TryWrite(8, "next"u8);
        PendingFlushes.Flush();
        Assert.Equal("7:", _plain.Receive());
        Assert.Equal("8:next", _plain.Receive());
    }

    [Fact]
    public async Task With_control_a_session_that_did_not_end_in_order_is_reset_even_after_our_end()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(0, Hello);
        await link.HandledAsync("up");
        link.Receive();
        SessionLife life = SessionLife.OpenedByPeer();
        Assert.True(life.TrySendEnd(link.Link, 7));
        for (int i = 0; i < 3; i++) Assert.True(life.TrySendClose(link.Link, 7, CloseReason.SocketError));
        link.Link.TryWrite(8, "next"u8);
        PendingFlushes.Flush();
        Assert.Equal("7:", link.Receive());
        Assert.Equal("""0:{"op":"reset","id":"7","reason":"socket_error"}""", link.Receive());
        Assert.Equal("8:next", link.Receive());
    }

    [Fact]
    public void Without_room_the_state_does_not_change_and_the_end_is_sent_later()
    {
        SessionLife life = SessionLife.OpenedByPeer();
        List<RingClaim> claims = [];
        while (_plain.Link.TryClaim(_plain.Link.MaxContent, out RingClaim claim)) claims.Add(claim);
        while (_plain.Link.TryClaim(0, out RingClaim claim)) claims.Add(claim);
        Assert.False(life.TrySendEnd(_plain.Link, 7));
        Assert.False(life.HasEnded);
        claims.ForEach(claim => claim.Release());
        Assert.True(life.TrySendEnd(_plain.Link, 7));
        Assert.True(life.HasEnded);
    }

    public void Dispose() => _plain.Dispose();
}
