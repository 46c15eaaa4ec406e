using System.Net.Sockets;
using Megaphone.Hosting;
using Xunit;

namespace Megaphone.Tests.Hosting;

public class JournalTests
{
    [Fact]
    public void A_stream_leads_to_the_journal_if_it_is_the_socket_that_the_variable_names()
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        int descriptor = (int)socket.Handle;
        string inode = new FileInfo($"/proc/self/fd/{descriptor}").LinkTarget!["socket:[".Length..^1];

        Assert.True(Journal.IsAt(descriptor, $"8:{inode}"));
        Assert.False(Journal.IsAt(descriptor, $"8:{inode}1"));
        Assert.False(Journal.IsAt(descriptor, inode));
        Assert.False(Journal.IsAt(descriptor, null));
        Assert.False(Journal.IsAt(int.MaxValue, $"8:{inode}"));
    }
}
