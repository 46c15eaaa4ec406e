namespace Megaphone.EndToEnd;

/// <summary>The admin endpoint answers, however many connections to it lead nowhere.</summary>
public sealed class AdminCrowdTests
{
    [Theory]
    [InlineData(80)]
    [InlineData(500)]
    public async Task Incomplete_requests_keep_no_probe_from_its_answer(int held)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        int descriptors = await hub.IdleDescriptorsAsync();
        List<TestConnection> slow = await TestConnection.ConnectManyAsync(hub.Admin, held);
        foreach (TestConnection one in slow)
        {
            try
            {
                await one.SendAsync("GET /metrics HTTP/1.1\r\nHost: ");
            }
            catch (System.Net.Sockets.SocketException)
            {
                // It has been evicted already.
            }
        }

        for (int i = 0; i < 10; i++)
        {
            foreach (string path in new[] { "/healthz", "/readyz", "/metrics" })
                Assert.Equal(200, (await hub.GetAsync(path)).Status);
        }

        // 64, and those that are just being closed.
        Assert.InRange(hub.Process.Descriptors - descriptors, 0, 80);
        Assert.Empty(hub.Complaints());
        slow.ForEach(one => one.Dispose());
        await hub.DescriptorsAreBackToAsync(descriptors);
    }
}
