using System.Net;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>What anybody who can connect to a hub can do: nothing that affects other links or fills the log.</summary>
public sealed class UnauthenticatedLinkTests
{
    private const string Secret = "open sesame";
    private static readonly IPAddress Elsewhere = IPAddress.Parse("127.0.0.2");

    [Fact]
    public async Task Failed_links_do_not_fill_the_log()
    {
        const int links = 500;
        using MegaphoneProcess open = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess guarded = await MegaphoneProcess.HubAsync($"Hub:Secret={Secret}");
        for (int i = 0; i < links; i++)
        {
            // In turn: garbage, a link that comes up and ends, and no hello although a secret is required.
            await EndAsync(open, [0xff]);
            await EndAsync(open, Packet.Format(7, "x"));
            await EndAsync(guarded, Packet.Format(7, "x"));
        }

        await open.ReachesAsync(links, "megaphone_protocol_errors_total", "role=hub");
        await guarded.ReachesAsync(links, "megaphone_protocol_errors_total", "role=hub");
        await open.HasLinksAsync(0, "hub");
        await open.StopAsync();
        await guarded.StopAsync();

        foreach (MegaphoneProcess hub in new[] { open, guarded })
        {
            // The first are logged in full, and the rest are summed up, once in an interval of 30 s.
            Assert.Contains(hub.Complaints("protocol error: "), line => line.Contains("127.0.0.1"));
            Assert.InRange(hub.LogLines("more links were closed for a protocol error"), 1, 4);
            Assert.InRange(hub.Process.Output.Sum(line => line.Length), 0, 32 << 10);
        }

        Assert.InRange(open.LogLines("more links came up"), 1, 4);
        Assert.InRange(open.LogLines("more links went down"), 1, 4);
    }

    [Fact]
    public async Task Each_guess_of_the_secret_takes_a_second_and_delays_no_other_address()
    {
        const int guesses = 200;
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Secret={Secret}");
        long began = Environment.TickCount64;
        Task<string>[] answers = [.. Enumerable.Range(0, guesses).Select(i => AnswerAsync(hub, $"guess {i}"))];

        // The right secret from an address that has not guessed is not delayed.
        for (int i = 0; i < 20; i++) Assert.Contains("welcome", await AnswerAsync(hub, Secret, Elsewhere));
        string[] all = await Task.WhenAll(answers);

        int looked = all.Count(answer => answer.Contains("the secret is missing or wrong"));
        Assert.InRange(looked, 1, 4 + ((Environment.TickCount64 - began) / 1000));
        Assert.Equal(guesses - looked, all.Count(answer => answer.Contains("too many wrong secrets from this address; try again later")));
        await hub.ReachesAsync(guesses, "megaphone_refused_total", "role=hub", "reason=hello");
    }

    [Fact]
    public async Task The_right_secret_is_accepted_from_an_address_that_has_guessed_before()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Secret={Secret}");
        for (int i = 0; i < 3; i++) Assert.Contains("the secret is missing or wrong", await AnswerAsync(hub, "a guess"));

        using LinkPeer link = await LinkPeer.EcmAsync(hub, Secret);
        await link.AssertEchoesAsync(1);
    }

    [Fact]
    public async Task Silent_links_of_one_address_do_not_evict_that_of_another()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Secret={Secret}", "Hub:MaxLinks=8");
        using TestConnection honest = await TestConnection.ConnectAsync(hub.Hub, Elsewhere);

        // Half of its hello has arrived, and the rest is under way.
        byte[] hello = Packet.Format(0, LinkPeer.Hello(Secret));
        await honest.SendAsync(hello.AsMemory(0, 40));
        List<TestConnection> silent = await TestConnection.ConnectManyAsync(hub.Hub, 200);
        foreach (TestConnection one in silent.Take(150)) await one.AssertIsGoneAsync();

        await honest.SendAsync(hello.AsMemory(40));
        Assert.Contains("welcome", await honest.ReceiveTextAsync(100));
        await hub.ComplainsAsync(1, "MaxLinks (8) is reached");
        silent.ForEach(one => one.Dispose());
    }

    /// <summary>Connects, sends something, and waits until the other end has ended too.</summary>
    private static async Task EndAsync(MegaphoneProcess hub, byte[] said)
    {
        using TestConnection link = await TestConnection.ConnectAsync(hub.Hub);
        await link.SendAsync(said);
        link.EndSending();
        await link.AssertIsGoneAsync();
    }

    /// <summary>A hub's answer to a hello.</summary>
    private static async Task<string> AnswerAsync(MegaphoneProcess hub, string secret, IPAddress? from = null)
    {
        using TestConnection link = await TestConnection.ConnectAsync(hub.Hub, from);
        await link.SendAsync(Packet.Format(0, LinkPeer.Hello(secret)));
        link.EndSending();
        return Encoding.UTF8.GetString(await link.ReceiveToEndAsync());
    }
}
