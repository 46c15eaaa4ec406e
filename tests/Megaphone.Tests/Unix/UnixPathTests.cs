using System.Net.Sockets;
using System.Runtime.Versioning;
using Megaphone.Interop;
using Megaphone.Unix;
using Xunit;

namespace Megaphone.Tests.Unix;

/// <summary>Whose the file of a Unix socket is, and what is done with one that is nobody's.</summary>
[SupportedOSPlatform("linux")]
public sealed class UnixPathTests : IDisposable
{
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-unix-").FullName;

    private string Socket => Path.Combine(_folder, "clients.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("unix:/run/megaphone/clients.sock", "/run/megaphone/clients.sock")]
    [InlineData("unix:/run/../run//a b.sock", "/run/a b.sock")]
    [InlineData("unix:clients.sock", null)]
    [InlineData("unix:", null)]
    [InlineData("unix:/run/megaphone/", null)]
    [InlineData("unix:/a\0b", null)]
    [InlineData("/run/megaphone/clients.sock", null)]
    [InlineData("UNIX:/run/megaphone/clients.sock", null)]
    public void A_path_is_written_in_full(string text, string? path)
    {
        UnixEndPoint? read = UnixEndPoint.Parse(text);
        Assert.Equal(path, read?.Path);
        if (path is not null) Assert.Equal((read, $"unix:{path}"), (UnixEndPoint.Parse($"unix:{path}"), read!.ToString()));
    }

    [Fact]
    public void A_path_is_as_long_as_the_kernel_has_room_for()
    {
        Assert.NotNull(UnixEndPoint.Parse("unix:/" + new string('x', 106)));
        Assert.Null(UnixEndPoint.Parse("unix:/" + new string('x', 107)));
        Assert.Null(UnixEndPoint.Parse("unix:/" + new string('ä', 54)));
    }

    [Fact]
    public void Its_file_has_the_mode_that_it_is_to_have_and_is_removed_when_nobody_listens()
    {
        int listener = UnixPath.Listen(Socket, Mode, 16);
        Assert.Equal(Mode, File.GetUnixFileMode(Socket));
        Connect();
        UnixPath.Remove(Socket);
        Assert.True(UnixPath.IsSocket(Socket));
        _ = Libc.Close(listener);
        UnixPath.Remove(Socket);
        Assert.False(File.Exists(Socket));
    }

    [Fact]
    public void What_a_process_that_was_killed_has_left_is_replaced()
    {
        _ = Libc.Close(UnixPath.Listen(Socket, Mode, 16));
        Assert.True(UnixPath.IsSocket(Socket));
        Assert.Null(UnixPath.FindObstacle(Socket));
        int listener = UnixPath.Listen(Socket, Mode, 16);
        Connect();
        _ = Libc.Close(listener);
    }

    [Fact]
    public void A_socket_that_somebody_listens_on_is_left_to_him()
    {
        int listener = UnixPath.Listen(Socket, Mode, 16);
        PathObstacle obstacle = UnixPath.FindObstacle(Socket)!;
        Assert.Equal(("another process listens on it", Environment.ProcessId), (obstacle.Reason, obstacle.Process));
        Assert.Equal("another process listens on it", Assert.Throws<IOException>(() => UnixPath.Listen(Socket, Mode, 16)).Message);
        Connect();
        _ = Libc.Close(listener);
    }

    [Fact]
    public void One_whose_queue_is_full_is_listened_on_all_the_same()
    {
        int listener = UnixPath.Listen(Socket, Mode, backlog: 0);
        Connect();
        Assert.Equal("another process listens on it", UnixPath.FindObstacle(Socket)!.Reason);
        _ = Libc.Close(listener);
    }

    [Fact]
    public void A_file_of_another_kind_is_never_removed()
    {
        File.WriteAllText(Socket, "somebody's");
        File.CreateSymbolicLink(Path.Combine(_folder, "link.sock"), Socket);
        foreach (string path in (string[])[Socket, Path.Combine(_folder, "link.sock"), _folder])
        {
            Assert.Equal("a file is there that is no socket", UnixPath.FindObstacle(path)!.Reason);
            Assert.Throws<IOException>(() => UnixPath.Listen(path, Mode, 16));
            UnixPath.Remove(path);
            Assert.True(UnixPath.Exists(path));
        }

        Assert.Equal("somebody's", File.ReadAllText(Socket));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_named()
    {
        string missing = Path.Combine(_folder, "missing");
        PathObstacle obstacle = UnixPath.FindObstacle(Path.Combine(missing, "clients.sock"))!;
        Assert.Equal(($"there is no folder {missing}", $"`mkdir {missing}`, for the user of the service"), (obstacle.Reason, obstacle.Fix));
    }

    private void Connect()
    {
        using Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(Socket));
    }
}
