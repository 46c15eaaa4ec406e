using System.Net;
using System.Net.Sockets;
using Megaphone.Configuration;
using Megaphone.Preflight;
using Xunit;

namespace Megaphone.Tests.Configuration;

/// <summary>Which addresses cannot be listened on together, by the rules and by the kernel.</summary>
public class ListenAddressTests
{
    [Theory]
    [InlineData("127.0.0.1:5222", "127.0.0.1:5222", true)]
    [InlineData("127.0.0.1:5222", "127.0.0.1:5223", false)]
    [InlineData("127.0.0.1:5222", "127.0.0.2:5222", false)]
    [InlineData("0.0.0.0:5222", "127.0.0.1:5222", true)]
    [InlineData("0.0.0.0:5222", "[::1]:5222", false)]
    [InlineData("[::]:5222", "[::1]:5222", true)]
    [InlineData("[::]:5222", "127.0.0.1:5222", true)]
    [InlineData("[::]:5222", "0.0.0.0:5222", true)]
    [InlineData("[::1]:5222", "127.0.0.1:5222", false)]
    [InlineData("[::ffff:127.0.0.1]:5222", "127.0.0.1:5222", true)]
    [InlineData("[::ffff:0.0.0.0]:5222", "127.0.0.1:5222", true)]
    [InlineData("127.0.0.1:0", "127.0.0.1:0", false)]
    [InlineData("[::]:0", "127.0.0.1:0", false)]
    public void One_port_and_one_address_or_all_of_them(string one, string other, bool overlap)
    {
        Assert.Equal(overlap, ListenAddress.Overlap(IPEndPoint.Parse(one), IPEndPoint.Parse(other)));
        Assert.Equal(overlap, ListenAddress.Overlap(IPEndPoint.Parse(other), IPEndPoint.Parse(one)));
    }

    [Theory]
    [InlineData("   0: 0100007F:1466 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1", "127.0.0.1:5222")]
    [InlineData("   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0", "[::1]:22")]
    [InlineData("   2: 0000000000000000FFFF00000100007F:1466 00000000000000000000000000000000:0000 0A 0", "[::ffff:127.0.0.1]:5222")]
    [InlineData("   3: 0100007F:1466 0100007F:ABCD 01 00000000:00000000", null)]
    [InlineData("  sl  local_address rem_address   st tx_queue rx_queue", null)]
    [InlineData("", null)]
    public void Lines_of_proc_tell_who_listens(string line, string? listening) =>
        Assert.Equal(listening is null ? null : IPEndPoint.Parse(listening), ListeningSockets.Parse(line));

    [Fact]
    public void A_listener_and_an_outgoing_connection_are_told_apart()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using Socket connection = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        connection.Connect(listener.LocalEndPoint!);
        IPEndPoint outgoing = (IPEndPoint)connection.LocalEndPoint!;

        Assert.Equal("something listens there already", BindProbe.Try((IPEndPoint)listener.LocalEndPoint!)!.Reason);
        BindProbe.Obstacle obstacle = BindProbe.Try(outgoing)!;
        Assert.Equal("an outgoing connection of this machine uses that port, and nothing listens there", obstacle.Reason);
        Assert.Contains($"`ss -tanp 'sport = :{outgoing.Port}'`", obstacle.Fix, StringComparison.Ordinal);
        Assert.Contains($"{outgoing.Port}` keeps the next ones off it", obstacle.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Ports_that_are_reserved_already_stay_so() => Assert.Contains(
        "`sysctl -w net.ipv4.ip_local_reserved_ports=80,8000-8010,5222`",
        BindProbe.Describe(
            SocketError.AddressAlreadyInUse, IPEndPoint.Parse("0.0.0.0:5222"), isListening: false, new ReservedPorts("80,8000-8010")).Fix,
        StringComparison.Ordinal);
}
