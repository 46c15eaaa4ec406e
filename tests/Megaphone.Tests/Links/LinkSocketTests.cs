using System.Text;
using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

public sealed class LinkSocketTests
{
    private const int IpProtoTcp = 6;
    private const int TcpCongestion = 13;

    [Fact]
    public void Between_two_processes_of_one_machine_nothing_is_paced()
    {
        using SocketPair pair = new();

        LinkSocket.Configure(pair.Ours, new LinkOptions());

        byte[] name = new byte[16];
        int length = pair.Ours.GetRawSocketOption(IpProtoTcp, TcpCongestion, name);
        Assert.Equal("reno", Encoding.ASCII.GetString(name, 0, length).TrimEnd('\0'));
    }

    [Fact]
    public void It_is_known_on_which_core_something_came_in_until_the_socket_is_closed()
    {
        using SocketPair pair = new();
        pair.Peer.Send([1]);
        pair.Ours.Receive(new byte[1]);

        Assert.True(LinkSocket.IncomingCore(pair.Ours) >= 0);
        pair.Ours.Dispose();
        Assert.Null(LinkSocket.IncomingCore(pair.Ours));
    }
}
