using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Room that becomes free at the very moment in which a receiver starts to wait for it.</summary>
[Collection(nameof(Alone))]
public class LinkRoomTests
{
    private const int Chunk = 8 << 10;

    [Fact]
    public async Task A_receiver_that_starts_to_wait_for_room_never_misses_it()
    {
        // Each round is a moment that may be the wrong one. On a machine that is busy with other things they take a thousand times as long.
        const int rounds = 30_000;
        const int milliseconds = 30_000;
        using TestLink link = new(
            LinkOrigin.ConnectedPlain,
            new LinkOptions { RingBytes = 64 << 10, MaxPacketBytes = 32 << 10, SocketBufferBytes = 0 });
        int refused = 0;
        int taken = 0;
        link.Handler.Accepts = _ =>
        {
            if (!link.Link.TryClaim(Chunk, out RingClaim claim))
            {
                Volatile.Write(ref refused, 1);
                return false;
            }

            claim.Release();
            Volatile.Write(ref taken, taken + 1);
            return true;
        };
        byte[] packet = Packets.Of(7, "x");
        await Task.Factory.StartNew(
            () =>
            {
                Random random = new(1);
                List<RingClaim> held = [];
                long began = Environment.TickCount64;
                for (int round = 1; round <= rounds && Environment.TickCount64 - began < milliseconds; round++)
                {
                    held.Clear();
                    while (link.Link.TryClaim(Chunk, out RingClaim claim)) held.Add(claim);
                    Volatile.Write(ref refused, 0);
                    link.Peer.Send(packet);
                    Wait(() => Volatile.Read(ref refused) == 1, $"the refusal of round {round}");
                    for (int spins = random.Next(400); spins > 0; spins--) Volatile.Read(ref refused);
                    foreach (RingClaim claim in held) claim.Release();
                    Wait(() => Volatile.Read(ref taken) == round, $"the packet of round {round}");
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    private static void Wait(Func<bool> condition, string what)
    {
        // Spins, as it is about moments, but yields to the threads that are waited for, which may want this core.
        long began = Environment.TickCount64;
        SpinWait spin = default;
        while (!condition())
        {
            if (Environment.TickCount64 - began > 60_000) throw new TimeoutException($"Not within 60 s: {what}");
            spin.SpinOnce(sleep1Threshold: -1);
        }
    }
}
