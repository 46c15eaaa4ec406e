namespace Megaphone.EndToEnd.Support;

/// <summary>A test of two sessions on a link of which one has an end that does not read, for clients and for backends.</summary>
internal static class SlowReader
{
    /// <summary>
    /// Sends much to an end that reads only when it has been paused for. Asserts that pauses and resumes come, that the other session
    /// continues and memory does not grow meanwhile, and that no byte is lost.
    /// </summary>
    /// <param name="process">The process that holds both ends and the link.</param>
    /// <param name="role">Its role, as metrics name it.</param>
    /// <param name="link">The link, which sends only control packets.</param>
    /// <param name="slow">The end that does not read, and its id.</param>
    /// <param name="fast">The other one.</param>
    public static async Task AssertPausesAsync(
        MegaphoneProcess process, string role, LinkPeer link, (TestConnection End, ulong Id) slow, (TestConnection End, ulong Id) fast)
    {
        const string Other = "not held up";
        byte[] much = Sample.Bytes(24 << 20);
        int pauses = 0;
        Task<byte[]>? reading = null;
        foreach (byte[] piece in much.Chunk(16 << 10))
        {
            await link.SendAsync(slow.Id, piece);
            await link.SendControlAsync("""{"op":"ping","token":1}""");
            // The answer shows that the piece was handled; a pause because of it was received before.
            bool answered = false, paused = false;
            while (!answered || paused)
            {
                string? op = (await link.ReceiveControlAsync()).GetProperty("op").GetString();
                answered |= op == "pong";
                if (op is "pause" or "resume") paused = op == "pause";
                if (op != "pause" || ++pauses > 1) continue;

                // Others go on, and memory stays where it is, until it reads at last.
                await link.SendAsync(fast.Id, Other);
                Assert.Equal(Other, await fast.End.ReceiveTextAsync(Other.Length));
                Assert.InRange((await process.MetricsAsync())["megaphone_buffered_bytes", $"role={role}"], 1, 1 << 20);
                reading = slow.End.ReceiveAsync(much.Length);
            }
        }

        Assert.True(reading is not null, "There was never a pause.");
        Sample.AssertSame(much, await reading);
        Assert.True((await process.MetricsAsync())["megaphone_pauses_total", $"role={role}"] >= pauses);
        await process.ReachesAsync(0, "megaphone_buffered_bytes", $"role={role}");
    }
}
