using System.Net.Sockets;
using Megaphone.Admin;
using Xunit;

namespace Megaphone.Tests.Admin;

public sealed class OperatorSocketTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-operator-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "admin.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_file_that_a_dead_process_has_left_is_replaced()
    {
        Socket dead = OperatorSocket.Bind(Path);
        dead.SafeHandle.Dispose();
        Assert.True(File.Exists(Path));
        using Socket bound = OperatorSocket.Bind(Path);
        bound.Listen();
        using Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(Path));
    }

    [Fact]
    public void One_that_another_process_listens_on_is_left_to_that()
    {
        using Socket first = OperatorSocket.Bind(Path);
        first.Listen();
        IOException error = Assert.Throws<IOException>(() => OperatorSocket.Bind(Path));
        Assert.Contains("another process listens on it", error.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(Path));
    }

    [Fact]
    public void A_file_that_is_no_socket_stays_what_it_is()
    {
        File.WriteAllText(Path, "somebody's");
        IOException error = Assert.Throws<IOException>(() => OperatorSocket.Bind(Path));
        Assert.Contains("a file is there that is no socket; choose a path", error.Message, StringComparison.Ordinal);
        OperatorSocket.Remove(Path);
        Assert.Equal("somebody's", File.ReadAllText(Path));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_said()
    {
        string path = System.IO.Path.Combine(_folder, "missing", "admin.sock");
        Assert.Contains("there is no folder", OperatorSocket.FindObstacle(path)!, StringComparison.Ordinal);
        Assert.Contains("choose a path", Assert.Throws<IOException>(() => OperatorSocket.Bind(path)).Message, StringComparison.Ordinal);
        Assert.Null(OperatorSocket.FindObstacle(Path));
    }
}
