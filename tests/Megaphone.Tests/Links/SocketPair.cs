using System.Net;
using System.Net.Sockets;

namespace Megaphone.Tests.Links;

/// <summary>The two ends of one TCP connection over loopback.</summary>
internal sealed class SocketPair : IDisposable
{
    /// <param name="bufferBytes">SO_SNDBUF of ours and SO_RCVBUF of the peer's, so small that sends are partial; 0: the kernel's own.</param>
    public SocketPair(int bufferBytes = 0)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (bufferBytes > 0) listener.ReceiveBufferSize = bufferBytes;
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        Ours = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (bufferBytes > 0) Ours.SendBufferSize = bufferBytes;
        Ours.Connect(listener.LocalEndPoint!);
        Peer = listener.Accept();
        Peer.ReceiveTimeout = Peer.SendTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        Ours.NoDelay = Peer.NoDelay = true;
    }

    /// <summary>The end under test.</summary>
    public Socket Ours { get; }

    /// <summary>The other end. Its blocking calls fail after <see cref="BoundedWait.Limit"/>.</summary>
    public Socket Peer { get; }

    public void Dispose()
    {
        Ours.Dispose();
        Peer.Dispose();
    }
}
