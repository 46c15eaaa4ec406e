using System.Security.Authentication;

namespace Megaphone.EndToEnd;

/// <summary>Thousands of clients with TLS at the same time.</summary>
public sealed class TlsCrowdTests : IDisposable
{
    private const int Clients = 5_000;
    private const int Stalled = 500;
    private const int AtATime = 16;

    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public async Task Ten_reloads_and_five_hundred_stalled_handshakes_disturb_no_client()
    {
        _certificates.Issue("localhost", ["localhost"]);
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

            Task talking = Task.Run(async () =>
            {
                for (int round = 0; round < 2; round++) await ForEachAsync(Clients, i => clients[i].AssertEchoesAsync($"client {i}"));
            });
            for (int reload = 1; reload <= 10; reload++)
            {
                string serial = _certificates.Issue("localhost", ["localhost"]);
                both.Process.Signal(Signals.HangUp);
                await BoundedWait.UntilAsync(
                    async () =>
                    {
                        using TlsClient one = await TlsClient.ConnectAsync(both.Clients);
                        return one.Serial == serial;
                    },
                    () => $"certificate {reload}");
            }

            await talking;
            await both.HasClientsAsync(Clients);
            await both.ReachesAsync(Stalled, "megaphone_ecm_handshaking");
            await both.ReachesAsync(0, "megaphone_ecm_handshakes_total", "result=failed");
        }
        finally
        {
            foreach (TlsClient client in stalled) client.Dispose();
            foreach (TlsClient? client in clients) client?.Dispose();
        }
    }

    private static async Task ForEachAsync(int count, Func<int, Task> work) =>
        await Parallel.ForEachAsync(
            Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (i, _) => await work(i));
}
