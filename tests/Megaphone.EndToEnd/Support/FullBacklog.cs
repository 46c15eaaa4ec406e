using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>Connections that fill a listener's backlog, so that the kernel answers no others: a black hole.</summary>
internal sealed class FullBacklog : IDisposable
{
    private readonly TestBackend _backend;
    private readonly List<Socket> _sockets = [];

    private FullBacklog(TestBackend backend) => _backend = backend;

    /// <summary>Fills a backend's.</summary>
    public static async Task<FullBacklog> OfAsync(TestBackend backend)
    {
        FullBacklog full = new(backend);
        while (true)
        {
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            full._sockets.Add(socket);
            Task connecting = socket.ConnectAsync(backend.Address);
            if (await Task.WhenAny(connecting, Task.Delay(300)) != connecting)
            {
                // This one cannot get a descriptor; closed, so that it does not take one later.
                socket.Dispose();
                return full;
            }
        }
    }

    /// <summary>Accepts and closes what filled it.</summary>
    public async Task MakeRoomAsync()
    {
        foreach (Socket _ in _sockets.SkipLast(1)) (await _backend.AcceptAsync()).Dispose();
        Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());
}
