using System.Net;
using System.Net.Sockets;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Tests.Links;
using Megaphone.Values;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>Section 2 of the link protocol: when a link is lost, all its sessions end, even if it was full.</summary>
public class HubLinkLossTests
{
    [Fact]
    public async Task Sessions_that_wait_for_room_end_when_their_link_is_lost()
    {
        const int sessions = 8;
        RoleMetrics metrics = new(Role.Hub);
        using Socket backend = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        backend.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        backend.Listen(64);
        using HubRole hub = new(
            new HubOptions
            {
                Listen = new IPEndPoint(IPAddress.Loopback, 0),
                Backends = [new HostPort("127.0.0.1", ((IPEndPoint)backend.LocalEndPoint!).Port)],
                Link = new LinkOptions { RingBytes = 256 << 10, MaxPacketBytes = 64 << 10, SocketBufferBytes = 16 << 10 },
            },
            metrics,
            NullLoggerFactory.Instance);
        hub.Start();

        using Socket link = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        link.Connect(hub.Listening);
        List<Socket> servers = [];
        for (ulong id = 1; id <= sessions; id++)
        {
            link.Send(Packets.Of(id, "open"));
            Socket server = await backend.AcceptAsync().WaitAsync(BoundedWait.Limit);
            server.Blocking = false;
            servers.Add(server);
        }

        // The link is not read: the sessions' servers fill it, until all of them wait for room.
        byte[] much = new byte[64 << 10];
        for (int quiet = 0; quiet < 20; quiet++)
        {
            foreach (Socket server in servers)
            {
                server.Send(much, SocketFlags.None, out SocketError error);
                if (error == SocketError.Success) quiet = 0;
            }

            await Task.Delay(5);
        }

        link.LingerState = new LingerOption(true, 0);
        link.Dispose();
        try
        {
            await BoundedWait.UntilAsync(() => metrics.Connected == 0, "the end of every session");
        }
        finally
        {
            servers.ForEach(server => server.Dispose());
        }

        // Their slots are free as well: otherwise stopping would wait for them until its deadline.
        using CancellationTokenSource deadline = new(BoundedWait.Limit);
        await hub.StopAsync(deadline.Token);
        Assert.False(deadline.IsCancellationRequested);
    }
}
