using System.Text;
using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

public sealed class LinkSocketTests
{
    private const int IpProtoTcp = 6;
    private const int TcpCongestion = 13;

    [Fact]
    public void Links_within_one_machine_are_not_paced()
    {
        using SocketPair pair = new();

        LinkSocket.Configure(pair.Ours, new LinkOptions());

        byte[] name = new byte[16];
        int length = pair.Ours.GetRawSocketOption(IpProtoTcp, TcpCongestion, name);
        Assert.Equal("reno", Encoding.ASCII.GetString(name, 0, length).TrimEnd('\0'));
    }
}
