using System.Net;

namespace Megaphone.EndToEnd;

/// <summary><c>megaphone check</c> asks an ejabberd with the module, and leaves no trace in it.</summary>
public sealed class ModuleCheckTests(ModuleServer server) : IClassFixture<ModuleServer>
{
    private const string Secret = "between you and me";

    [Fact]
    public async Task The_node_that_answers_is_named_and_its_links_stay_as_they_were()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            server.Ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza", "Ecm:Proxy=v2", "Ecm:Link:Name=edge");
        await ecm.HasLinksAsync(1, "ecm");
        int complaints = server.Ejabberd.Complaints.Count;
        int links = (await server.Ejabberd.ControlAsync("megaphone_links")).Count;

        string said = await CheckAsync(0, server.Ejabberd.LinkListener, "stanza", "Ecm:Link:Name=edge");

        Assert.Matches(@"\S+@\S+ welcomes a link; packets up to ", said);
        Assert.Contains("sessions outlive a cut of 90s; it says who has logged in", said);
        Assert.DoesNotContain("warn  Ecm:Link:To", said);
        await BoundedWait.UntilAsync(
            async () => (await server.Ejabberd.ControlAsync("megaphone_links")).Count == links, () => "the link of the check is gone");
        // Others of ejabberd's may still come, from the new configuration of another test.
        Assert.DoesNotContain(server.Ejabberd.Complaints.Skip(complaints), line => line.Contains("@ejabberd_megaphone", StringComparison.Ordinal));
        Assert.Empty(ecm.Complaints());
    }

    [Fact]
    public async Task Bytes_are_refused_and_the_fix_is_another_framing()
    {
        string said = await CheckAsync(1, server.Ejabberd.LinkListener, "bytes");
        Assert.Contains("refused by the other side: framing must be \"stanza\"", said);
        Assert.Contains("fix: \"Framing\": \"stanza\" in Ecm:Clients:N", said);
    }

    [Fact]
    public async Task A_wrong_secret_is_refused()
    {
        (IPEndPoint address, Func<Task> remove) = await server.Ejabberd.AddListenerAsync("module: ejabberd_megaphone", $"secret: \"{Secret}\"");
        string said = await CheckAsync(1, address, "stanza", "Ecm:Link:Secret=another one, long");
        Assert.Contains("refused by the other side: wrong or no secret", said);
        Assert.Contains("`secret` of the listener in ejabberd", said);
        Assert.Contains("welcomes a link", await CheckAsync(0, address, "stanza", $"Ecm:Link:Secret={Secret}"));
        await remove();
    }

    private static async Task<string> CheckAsync(int expected, IPEndPoint to, string framing, params string[] settings)
    {
        (ChildProcess check, int status) = await MegaphoneProcess.RunAsync(
        [
            "check",
            .. MegaphoneProcess.Arguments(
            [
                "Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Clients:0:Framing={framing}", "Ecm:MaxClients=100", "Admin:Listen=127.0.0.1:0",
                $"Ecm:Link:To={to}", .. settings,
            ]),
        ]);
        using (check)
        {
            Assert.True(status == expected, check.Said);
            return check.Said;
        }
    }
}
