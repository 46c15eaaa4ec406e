using System.Diagnostics;

namespace Megaphone.EndToEnd;

/// <summary>Ids that one end of a link has chosen so that they collide in a table cost the other links nothing.</summary>
public sealed class ChosenIdTests
{
    private const int Sessions = 80_000;

    [Fact]
    public async Task Other_links_are_answered_while_one_opens_sessions_whose_ids_have_equal_halves()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer offender = await LinkPeer.PlainEcmAsync(hub);

        // Links share a few threads: with some of them beside it, one is on the offender's.
        LinkPeer[] bystanders = await Task.WhenAll(Enumerable.Range(0, 2 * Environment.ProcessorCount).Select(_ => LinkPeer.EcmAsync(hub)));
        byte[] flood = [.. Enumerable.Range(1, Sessions).SelectMany(x => Packet.Format(((ulong)x << 32) | (uint)x, "x"))];

        Task sending = offender.SendRawAsync(flood);
        Task receiving = Task.Run(async () =>
        {
            for (int i = 0; i < Sessions; i++) await offender.ReceiveAsync();
        });
        TimeSpan longest = TimeSpan.Zero;
        for (ulong turn = 1; turn < 50 || !receiving.IsCompleted; turn++)
        {
            long began = Stopwatch.GetTimestamp();
            await Task.WhenAll(bystanders.Select(bystander => IsAnsweredAsync(bystander, turn)));
            if (Stopwatch.GetElapsedTime(began) is var took && took > longest) longest = took;
        }

        await sending;
        await receiving;

        // If the ids collided, it would take as long as all of it: ten to thirty seconds.
        Assert.InRange(longest, TimeSpan.Zero, TimeSpan.FromSeconds(4));
        await hub.ReachesAtLeastAsync(Sessions, "megaphone_hub_sessions");
        foreach (LinkPeer bystander in bystanders) bystander.Dispose();
    }

    private static async Task IsAnsweredAsync(LinkPeer link, ulong turn)
    {
        await link.AssertEchoesAsync(turn);
        await link.SendControlAsync($$"""{"op":"ping","token":{{turn}}}""");
        Assert.Equal(turn, (await link.ReceiveControlAsync()).GetProperty("token").GetUInt64());
    }
}
