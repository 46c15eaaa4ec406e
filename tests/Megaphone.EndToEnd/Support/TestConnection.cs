using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.EndToEnd.Support;

/// <summary>One connection held by a test: a client of the ECM, or what a backend has accepted.</summary>
internal sealed class TestConnection(Socket socket) : IDisposable
{
    private readonly Socket _socket = socket;

    private static readonly IPEndPoint Nowhere = new(IPAddress.None, 0);

    /// <summary>This end's address; that of a Unix socket is none.</summary>
    public IPEndPoint Local { get; } = socket.LocalEndPoint as IPEndPoint ?? Nowhere;

    /// <summary>The other end's address.</summary>
    public IPEndPoint Remote { get; } = socket.RemoteEndPoint as IPEndPoint ?? Nowhere;

    /// <summary>Connects.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="from">The address to come from; null: any.</param>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for a reader that does not read; null: as it likes.</param>
    public static async Task<TestConnection> ConnectAsync(IPEndPoint to, IPAddress? from = null, int? receiveBuffer = null)
    {
        Socket socket = new(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            if (receiveBuffer is { } bytes) socket.ReceiveBufferSize = bytes;
            if (from is not null) socket.Bind(new IPEndPoint(from, 0));
            await BoundedWait.WithinAsync(socket.ConnectAsync(to), $"a connection to {to}");
            return new TestConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Connects to a Unix socket.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="from">The path that this end binds first; null: it has none, as is usual.</param>
    public static async Task<TestConnection> ConnectToAsync(string path, string? from = null)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (from is not null) socket.Bind(new UnixDomainSocketEndPoint(from));
            await BoundedWait.WithinAsync(socket.ConnectAsync(new UnixDomainSocketEndPoint(path)), $"a connection to {path}");
            return new TestConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Connects many.</summary>
    public static async Task<List<TestConnection>> ConnectManyAsync(IPEndPoint to, int count)
    {
        List<TestConnection> connections = [];
        for (int i = 0; i < count; i++) connections.Add(await ConnectAsync(to));
        return connections;
    }

    /// <summary>Sends all of it.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[await BoundedWait.WithinAsync(_socket.SendAsync(bytes).AsTask(), "room to send")..];
    }

    /// <summary>Sends ASCII text.</summary>
    public Task SendAsync(string text) => SendAsync(Encoding.ASCII.GetBytes(text));

    /// <summary>Reads exactly so many bytes.</summary>
    public async Task<byte[]> ReceiveAsync(int count)
    {
        byte[] bytes = new byte[count];
        for (int filled = 0; filled < count;)
        {
            int read = await ReadSomeAsync(bytes.AsMemory(filled), $"{count - filled} bytes more");
            if (read == 0) throw new EndOfStreamException($"The connection ended {count - filled} bytes before what was expected.");
            filled += read;
        }

        return bytes;
    }

    /// <summary>Reads so many ASCII characters.</summary>
    public async Task<string> ReceiveTextAsync(int count) => Encoding.ASCII.GetString(await ReceiveAsync(count));

    /// <summary>Reads until the other end has ended its direction.</summary>
    public async Task<byte[]> ReceiveToEndAsync()
    {
        using MemoryStream all = new();
        byte[] some = new byte[64 << 10];
        while (await ReadSomeAsync(some, "the end of the other direction") is > 0 and int read) all.Write(some, 0, read);
        return all.ToArray();
    }

    /// <summary>Reads at most so many bytes, or fewer where the other end has closed the connection or reset it.</summary>
    public async Task<byte[]> ReceiveAtMostAsync(int count)
    {
        try
        {
            byte[] some = new byte[count];
            return some[..await ReadSomeAsync(some, "bytes, or the end")];
        }
        catch (SocketException)
        {
            return [];
        }
    }

    /// <summary>Sends something to an echo and asserts that it is returned.</summary>
    public async Task AssertEchoesAsync(string text = "is anybody there?")
    {
        await SendAsync(text);
        Assert.Equal(text, await ReceiveTextAsync(text.Length));
    }

    /// <summary>Asserts that the other end ends its direction in order, with nothing before it.</summary>
    public async Task AssertEndsAsync() => Assert.Empty(await ReceiveToEndAsync());

    /// <summary>Reads what is left and asserts that the connection is torn down with a reset, not ended in order.</summary>
    public async Task AssertIsResetAsync()
    {
        SocketException error = await Assert.ThrowsAsync<SocketException>(ReceiveToEndAsync);
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
    }

    /// <summary>Asserts that the other end has closed or reset the connection.</summary>
    public async Task AssertIsGoneAsync()
    {
        try
        {
            await ReceiveToEndAsync();
        }
        catch (SocketException)
        {
            // A reset.
        }
    }

    /// <summary>Asserts that nothing arrives for a while.</summary>
    public async Task AssertStaysSilentAsync()
    {
        await BoundedWait.NeverAsync(() => _socket.Poll(0, SelectMode.SelectRead), "there is something to read, or the connection has ended");
    }

    /// <summary>Ends this direction; the other one stays.</summary>
    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Tears the connection down with a reset.</summary>
    public void Abort() => _socket.Close(0);

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private Task<int> ReadSomeAsync(Memory<byte> into, string what) =>
        BoundedWait.WithinAsync(_socket.ReceiveAsync(into).AsTask(), what);
}
