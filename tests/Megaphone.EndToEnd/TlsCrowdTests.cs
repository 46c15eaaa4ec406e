using System.Security.Authentication;

namespace Megaphone.EndToEnd;

/// <summary>Thousands of clients with TLS at the same time.</summary>
public sealed class TlsCrowdTests : IDisposable
{
    private const int Clients = 5_000;

    // With those at a time fewer than Ecm:Tls:MaxHandshakes, 512: beyond, who has said nothing yet gives way, and all are from one address.
    private const int Stalled = 480;
    private const int AtATime = 16;

    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public async Task Two_renewals_and_hundreds_of_stalled_handshakes_disturb_no_client()
    {
        _certificates.Issue("localhost", ["localhost"]);
        string session = _certificates.Files("session").Key;
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Tls=direct", "Ecm:Tls:HandshakeTimeout=00:05:00", .. _certificates.Settings("localhost")]);
        List<TlsClient> stalled = [];
        TlsClient[] clients = new TlsClient[Clients];
        try
        {
            for (int i = 0; i < Stalled; i++)
            {
                stalled.Add(await TlsClient.ConnectPlainAsync(both.Clients));
                // The beginning of a ClientHello.
                await stalled[i].Socket.SendAsync((byte[])[22, 3, 1, 1, 0, 1]);
            }

            await both.ReachesAsync(Stalled, "megaphone_ecm_handshaking");
            await ForEachAsync(Clients, async i => clients[i] = await TlsClient.ConnectAsync(both.Clients, version: SslProtocols.Tls13));
            await both.HasClientsAsync(Clients);
            Assert.StartsWith("New, TLSv1.3", await ConnectOnceAsync(both, "-sess_out", session));

            // All the time, and once more when the last renewal is done.
            using CancellationTokenSource renewed = new();
            Task talking = Task.Run(async () =>
            {
                for (bool isLast = false; !isLast;)
                {
                    isLast = renewed.IsCancellationRequested;
                    await ForEachAsync(Clients, i => clients[i].AssertEchoesAsync($"client {i}"));
                }
            });
            for (int renewal = 1; renewal <= 2; renewal++)
            {
                string serial = _certificates.Issue("localhost", ["localhost"]);
                await BoundedWait.UntilAsync(
                    async () =>
                    {
                        using TlsClient one = await TlsClient.ConnectAsync(both.Clients);
                        return one.Serial == serial;
                    },
                    () => $"certificate {renewal}");
            }

            await renewed.CancelAsync();
            await talking;
            await both.HasClientsAsync(Clients);

            // A session of before the renewals is resumed.
            Assert.StartsWith("Reused, TLSv1.3", await ConnectOnceAsync(both, "-sess_in", session));
            await both.ReachesAsync(Stalled, "megaphone_ecm_handshaking");
            await both.ReachesAsync(0, "megaphone_ecm_handshakes_total", "result=failed");
        }
        finally
        {
            foreach (TlsClient client in stalled) client.Dispose();
            foreach (TlsClient? client in clients) client?.Dispose();
        }
    }

    /// <summary>Connects, exchanges a line and leaves.</summary>
    /// <returns>What openssl says of its session.</returns>
    private static async Task<string> ConnectOnceAsync(MegaphoneProcess both, params string[] options)
    {
        using ChildProcess client = ChildProcess.Start(["openssl", "s_client", "-connect", $"{both.Clients}", "-tls1_3", .. options]);

        // A ticket comes before the answer.
        await client.WriteLineAsync("ping");
        await client.LineAsync("ping");
        await client.WriteLineAsync("Q");
        await client.EndAsync();
        return client.Output.Single(line => line.Contains(", TLSv1.3, Cipher is ", StringComparison.Ordinal));
    }

    private static async Task ForEachAsync(int count, Func<int, Task> work) =>
        await Parallel.ForEachAsync(
            Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (i, _) => await work(i));
}
