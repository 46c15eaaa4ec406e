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
        Assert.True(SessionLife.OfPeer().IsOpened);
    }

    [Fact]
    public void One_that_was_never_opened_has_no_end_to_be_told()
    {
        SessionLife life = default;
        Assert.True(life.TrySendOver(_plain.Link, 7, CloseReason.Ended));
        Assert.True(_plain.Link.Ring.IsIdle);
    }

    [Fact]
    public void An_end_that_the_other_side_knows_is_not_sent()
    {
        foreach (CloseReason reason in new[] { CloseReason.LinkLost, CloseReason.ResetByPeer })
        {
            SessionLife life = SessionLife.OfPeer();
            Assert.True(life.TrySendOver(_plain.Link, 7, reason));
        }

        Assert.True(_plain.Link.Ring.IsIdle);
    }

    [Fact]
    public void On_a_link_that_is_gone_nobody_is_told()
    {
        SessionLife life = SessionLife.OfPeer();
        Assert.True(life.TrySendOver(null, 7, CloseReason.SocketError));
    }

    [Fact]
    public void Each_end_is_sent_once()
    {
        SessionLife life = SessionLife.OfPeer();
        for (int i = 0; i < 3; i++) Assert.True(life.TrySendEnd(_plain.Link, 7));
        for (int i = 0; i < 3; i++) Assert.True(life.TrySendOver(_plain.Link, 7, CloseReason.Ended));
        _plain.Link.TryWrite(8, "next"u8);
        FlushBatch.Flush();
        Assert.Equal("7:", _plain.Hear());
        Assert.Equal("8:next", _plain.Hear());
    }

    [Fact]
    public async Task Where_there_is_control_a_session_that_did_not_end_in_order_is_reset_even_behind_our_end()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Say(0, Hello);
        await link.HandledAsync("up");
        link.Hear();
        SessionLife life = SessionLife.OfPeer();
        Assert.True(life.TrySendEnd(link.Link, 7));
        for (int i = 0; i < 3; i++) Assert.True(life.TrySendOver(link.Link, 7, CloseReason.SocketError));
        link.Link.TryWrite(8, "next"u8);
        FlushBatch.Flush();
        Assert.Equal("7:", link.Hear());
        Assert.Equal("""0:{"op":"reset","id":"7","reason":"socket_error"}""", link.Hear());
        Assert.Equal("8:next", link.Hear());
    }

    [Fact]
    public void Without_room_nothing_is_noted_and_the_end_is_sent_when_there_is_some()
    {
        SessionLife life = SessionLife.OfPeer();
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
