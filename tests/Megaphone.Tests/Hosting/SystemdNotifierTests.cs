using System.Net.Sockets;
using System.Text;
using Megaphone.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Hosting;

public class SystemdNotifierTests
{
    [Fact]
    public void States_arrive_at_a_socket_with_a_path()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            Assert.Equal(["READY=1", "STOPPING=1"], WhatArrivesAt(new UnixDomainSocketEndPoint(path), path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void States_arrive_at_a_socket_in_the_abstract_namespace()
    {
        string name = "megaphone-" + Path.GetRandomFileName();
        Assert.Equal(["READY=1", "STOPPING=1"], WhatArrivesAt(new UnixDomainSocketEndPoint("\0" + name), "@" + name));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("/nonexistent/notify")]
    [InlineData("@nobody-listens-here")]
    public void A_missing_socket_is_not_fatal(string? address)
    {
        new SystemdNotifier(address, NullLogger<SystemdNotifier>.Instance).Ready();
    }

    [Fact]
    public void A_too_long_path_is_not_fatal()
    {
        new SystemdNotifier("/" + new string('x', 200), NullLogger<SystemdNotifier>.Instance).Ready();
    }

    private static List<string> WhatArrivesAt(UnixDomainSocketEndPoint manager, string address)
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 5000 };
        socket.Bind(manager);
        SystemdNotifier notifier = new(address, NullLogger<SystemdNotifier>.Instance);
        notifier.Ready();
        notifier.Stopping();

        List<string> states = [];
        byte[] buffer = new byte[64];
        for (int i = 0; i < 2; i++) states.Add(Encoding.UTF8.GetString(buffer, 0, socket.Receive(buffer)));
        return states;
    }
}
