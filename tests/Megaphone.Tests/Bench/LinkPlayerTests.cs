using Megaphone.Bench;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Bench;

public class LinkPlayerTests
{
    private const int Paused = 0;
    private const int Other = 1;

    [Fact]
    public async Task A_session_that_is_paused_again_before_it_has_gone_on_stays_paused()
    {
        using TestLink link = new(LinkOrigin.Accepted);
        link.Send(7, "hi");
        await link.HandledAsync("up, 7:hi");
        using SessionStore sessions = new(2);
        LoginMachine login = new(new LoginOptions { Method = LoginMethod.None, Domain = "capulet.example" });
        using LinkPlayer player = new(new XmppClients(login, sessions, new ProblemCounts()), number: 0, links: 1);
        player.OnUp(link.Link);

        Control(ControlOp.Pause);
        Assert.True(player.TrySend(Paused, "held back"u8));
        Control(ControlOp.Resume);
        Control(ControlOp.Pause);
        player.Flush();
        Assert.True(player.TrySend(Other, "first"u8));
        player.Flush();
        Assert.Equal("2:first", link.Receive());

        Control(ControlOp.Resume);
        player.Flush();
        Assert.Equal("1:held back", link.Receive());

        void Control(ControlOp op) => player.OnControl(link.Link, new ControlMessage { Op = op, Id = Paused + 1 });
    }
}
