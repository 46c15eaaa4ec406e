using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>A TCP server that the hub connects sessions to, one connection at a time in the test's hands.</summary>
internal sealed class TestBackend : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    /// <summary>Listens on a port of its own.</summary>
    /// <param name="backlog">Connections that the kernel may complete before they are accepted, less one.</param>
    public TestBackend(int backlog = 512)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(backlog);
    }

    /// <summary>The address.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>The hub's setting.</summary>
    public string Setting => $"Hub:Backend=tcp://{Address}";

    /// <summary>Whether a connection waits to be taken.</summary>
    public bool HasWaiting => _listener.Poll(0, SelectMode.SelectRead);

    /// <summary>Takes the next connection.</summary>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for it; null: as it likes.</param>
    public async Task<TestConnection> AcceptAsync(int? receiveBuffer = null)
    {
        if (receiveBuffer is { } bytes) _listener.ReceiveBufferSize = bytes;
        return new TestConnection(await BoundedWait.WithinAsync(_listener.AcceptAsync(), "a connection from the hub"));
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();
}
