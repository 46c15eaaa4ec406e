using System.Net.Sockets;
using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>The results of the system call as the sender needs them: sent, would block, or failed.</summary>
public class DirectSendTests
{
    [Fact]
    public void Two_buffers_are_sent_in_order()
    {
        using SocketPair pair = new();
        Assert.Equal(9, DirectSend.Send(pair.Ours.SafeHandle, "mega"u8, "phone"u8, out string? failure));
        Assert.Null(failure);
        Assert.Equal(5, DirectSend.Send(pair.Ours.SafeHandle, " rang"u8, [], out failure));
        Assert.Null(failure);
        Assert.Equal("megaphone rang"u8, Receive(pair.Peer, 14));
    }

    [Fact]
    public void A_full_socket_accepts_a_part_and_then_nothing_and_neither_is_a_failure()
    {
        using SocketPair pair = new(4096);
        byte[] first = [.. Enumerable.Range(0, 100_000).Select(i => (byte)i)];
        byte[] second = [.. Enumerable.Range(0, 1_000_000).Select(i => (byte)(7 * i))];
        int sent = 0;
        int taken;
        do
        {
            taken = sent < first.Length
                ? DirectSend.Send(pair.Ours.SafeHandle, first.AsSpan(sent), second, out string? failure)
                : DirectSend.Send(pair.Ours.SafeHandle, second.AsSpan(sent - first.Length), [], out failure);
            Assert.Null(failure);
            sent += taken;
        }
        while (taken > 0);

        Assert.InRange(sent, 1, first.Length + second.Length - 1);
        Assert.Equal([.. first.Concat(second).Take(sent)], Receive(pair.Peer, sent));
    }

    [Fact]
    public void A_reset_by_the_peer_is_reported_as_text()
    {
        using SocketPair pair = new();
        pair.Peer.LingerState = new LingerOption(true, 0);
        pair.Peer.Close();
        Assert.Equal(0, DirectSend.Send(pair.Ours.SafeHandle, "lost"u8, [], out string? failure));
        Assert.Equal("Connection reset by peer", failure);
        Assert.Equal(0, DirectSend.Send(pair.Ours.SafeHandle, "lost"u8, "too"u8, out failure));
        Assert.Equal("Broken pipe", failure);
    }

    [Fact]
    public void A_closed_socket_is_reported_not_thrown()
    {
        using SocketPair pair = new();
        SafeSocketHandle handle = pair.Ours.SafeHandle;
        pair.Ours.Dispose();
        Assert.Equal(0, DirectSend.Send(handle, "lost"u8, [], out string? failure));
        Assert.Equal("closed", failure);
    }

    private static byte[] Receive(Socket socket, int count)
    {
        byte[] received = new byte[count];
        for (int at = 0; at < count;) at += socket.Receive(received, at, count - at, SocketFlags.None);
        return received;
    }
}
