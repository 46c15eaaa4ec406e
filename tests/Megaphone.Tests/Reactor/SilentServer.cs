using System.Net;
using System.Net.Sockets;

namespace Megaphone.Tests.Reactor;

/// <summary>A listener whose queue is full, so that the kernel answers no further connection attempt.</summary>
internal sealed class SilentServer : IDisposable
{
    private readonly List<Socket> _sockets = [];

    public SilentServer()
    {
        Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        server.Listen(0);
        _sockets.Add(server);
        Address = (IPEndPoint)server.LocalEndPoint!;
        for (int i = 0; i < 4; i++)
        {
            Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            try
            {
                client.Connect(Address);
            }
            catch (SocketException)
            {
                // Under way.
            }

            _sockets.Add(client);
        }

        Thread.Sleep(20);
    }

    public IPEndPoint Address { get; }

    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());
}
