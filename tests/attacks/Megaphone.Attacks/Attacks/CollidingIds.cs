using System.Net;

namespace Megaphone.Attacks;

/// <summary>
/// A link opens sessions whose ids are <c>x &lt;&lt; 32 | x</c>, which all have the same hash where it is the xor of an id's halves.
/// </summary>
/// <param name="module">Whether they go to the module, where each starts a process: they are over as soon as they have begun, and fewer.</param>
internal sealed class CollidingIds(bool module) : IAttack
{
    private const int HubIds = 30_000;
    private const int ModuleIds = 5_000;
    private const int IdsAtATime = 500;

    // The runtime has one thread for each core on which links are received.
    private const int HubLinks = 3;

    private readonly List<byte[]> _packets = [];

    /// <inheritdoc/>
    public string Name => module ? "colliding-ids-module" : "colliding-ids";

    /// <inheritdoc/>
    public string Summary => $"{Links} links, each of which opens {Ids} sessions whose ids collide";

    /// <inheritdoc/>
    public Scene Scene => new() { Server = module ? Server.Module : Server.Echo, AttacksServer = true };

    /// <inheritdoc/>
    public int MinActions => 1_000;

    private int Ids => module ? ModuleIds : HubIds;

    private int Links => module ? 1 : HubLinks;

    private TimeSpan Rest => TimeSpan.FromMilliseconds(module ? 50 : 10);

    /// <summary>An empty packet opens a session and ends it.</summary>
    private string Content => module ? "" : "x";

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing)
    {
        for (ulong first = 1; first <= (ulong)Ids; first += IdsAtATime)
        {
            ulong from = first;
            _packets.Add([.. Enumerable.Range(0, IdsAtATime).SelectMany(i => Packet.Format(Colliding(from + (ulong)i), Content))]);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        long sent = 0, answered = 0;
        await AttackThread.RunAsync(Links, _ =>
        {
            using AttackSocket? link = AttackSocket.Connect(target.Links, IPAddress.Loopback, end);
            if (link is null) return;
            foreach (byte[] some in _packets)
            {
                if (link.Send(some, reads: true, end) < some.Length) break;
                Interlocked.Add(ref sent, IdsAtATime);

                // Not all at once: to open a session costs something whatever its id is.
                if (end.WaitHandle.WaitOne(Rest)) break;
            }

            link.Hold(reads: true, end);

            // The echo of a packet, and the empty packet that ends a session, are as long as what they answer.
            Interlocked.Add(ref answered, link.BytesReceived / (Packet.HeaderSize + Content.Length));
        });
        return new Outcome(sent, $"{sent} ids sent, {answered} answered");
    }

    private static ulong Colliding(ulong x) => x << 32 | x;
}
