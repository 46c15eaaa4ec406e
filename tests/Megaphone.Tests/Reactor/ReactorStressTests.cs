using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Connections open and close while other threads send to them.</summary>
[Collection(nameof(Alone))]
public class ReactorStressTests
{
    [Fact]
    public async Task A_thousand_connects_and_resets_leave_nothing_behind()
    {
        using TestReactors reactors = new(reactors: 2);
        reactors.Handler.Answer = (_, what) => what == "half-closed" ? Outcome.Closed : Outcome.Done;
        reactors.Connect().Client.Dispose();
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "the first connection's end");
        int before = Descriptors();
        for (int i = 0; i < 1000; i++)
        {
            using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(reactors.Address);
            if (i % 3 == 0) client.Send("some bytes"u8);
            if (i % 2 == 0) client.LingerState = new LingerOption(true, 0);
            if (i % 5 == 0) client.Shutdown(SocketShutdown.Send);
        }

        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "an empty table");
        await BoundedWait.UntilAsync(() => Descriptors() <= before, $"{before} descriptors again");
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }

    [Fact]
    public async Task Bytes_never_reach_another_connection_and_no_state_is_impossible_however_many_are_closed()
    {
        const int clients = 4;
        const int senders = 3;
        TimeSpan duration = TimeSpan.FromSeconds(2);
        using TestReactors reactors = new(reactors: 2);
        using CancellationTokenSource end = new(duration);
        ConcurrentDictionary<ulong, TestConnection> alive = new();
        int wrong = 0;
        int served = 0;
        reactors.Handler.Room = connection =>
        {
            alive[connection.Id.Value] = connection;
            return 64 << 10;
        };

        // Each client learns its own id from the first bytes, and then must see no other in them.
        void Client(int seed)
        {
            Random random = new(seed);
            byte[] buffer = new byte[8 << 10];
            while (!end.IsCancellationRequested)
            {
                using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 5_000, NoDelay = true };
                try
                {
                    client.Connect(reactors.Address);
                    client.Send("hello"u8);
                    ulong own = 0;
                    int there = 0;
                    for (int reads = random.Next(1, 6); reads > 0; reads--)
                    {
                        int got = client.Receive(buffer, there, buffer.Length - there, SocketFlags.None);
                        if (got == 0) break;
                        there += got;
                        for (int at = 0; at + 8 <= there; at += 8)
                        {
                            ulong tag = BinaryPrimitives.ReadUInt64LittleEndian(buffer.AsSpan(at));
                            if (own == 0) own = tag;
                            if (tag != own) Interlocked.Increment(ref wrong);
                        }

                        int left = there % 8;
                        buffer.AsSpan(there - left, left).CopyTo(buffer);
                        there = left;
                    }

                    if (own != 0) Interlocked.Increment(ref served);
                    if (random.Next(2) == 0) client.LingerState = new LingerOption(true, 0);
                }
                catch (SocketException)
                {
                    // Aborted by a sender.
                }
            }
        }

        void Sender(int seed)
        {
            Random random = new(seed);
            byte[] bytes = new byte[64];
            while (!end.IsCancellationRequested)
            {
                foreach ((ulong id, TestConnection connection) in alive)
                {
                    for (int at = 0; at < bytes.Length; at += 8) BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), id);
                    if (!reactors.Send(connection, bytes) && random.Next(20) == 0) alive.TryRemove(id, out _);
                    switch (random.Next(200))
                    {
                        case 0:
                            reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.IdleTimeout);
                            break;
                        case 1:
                            reactors.Group.EndWrite(connection.Id, connection.Owner);
                            break;
                        case 2:
                            reactors.Group.CloseWhenFlushed(connection.Id, connection.Owner, CloseReason.LinkLost);
                            break;
                        case 3:
                            reactors.Group.PauseReading(connection.Id, connection.Owner, random.Next(2) == 0);
                            break;
                    }
                }
            }
        }

        string? violation = null;
        void Inspector()
        {
            while (!end.IsCancellationRequested) violation ??= reactors.Group.FindViolation();
        }

        Task[] all =
        [
            OnThread(Inspector),
            .. Enumerable.Range(0, clients).Select(i => OnThread(() => Client(i))),
            .. Enumerable.Range(0, senders).Select(i => OnThread(() => Sender(100 + i))),
        ];
        await BoundedWait.WithinAsync(Task.WhenAll(all), "clients and senders");
        Assert.Equal((0, null), (wrong, violation));
        Assert.InRange(served, 20, int.MaxValue);

        while (reactors.Handler.Accepted.TryTake(out TestConnection? connection))
            reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.LinkLost);
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "an empty table");
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }

    private static int Descriptors() => Directory.GetFileSystemEntries("/proc/self/fd").Length;

    private static Task OnThread(Action action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
