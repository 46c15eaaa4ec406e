using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.Load;

/// <summary>The fastest echo that two blocking calls make; what a link is compared with.</summary>
internal static class RawEcho
{
    private const int BufferBytes = 256 << 10;
    private const int IpProtoTcp = 6;
    private const int TcpCongestion = 13;

    /// <summary>Runs until standard input ends; one peer at a time.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public static void Run(Arguments arguments)
    {
        IPEndPoint listen = arguments.EndPoint("listen");
        string? congestion = arguments.Text("congestion");
        arguments.RefuseOthers();
        using Socket listener = new(listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(listen);
            listener.Listen();
        }
        catch (SocketException failure)
        {
            throw new IOException($"cannot listen on {listen}: {failure.Message}", failure);
        }

        ParentGuard.EndWithInput();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"READY {listener.LocalEndPoint}"));

        byte[] buffer = new byte[BufferBytes];
        while (true)
        {
            using Socket peer = listener.Accept();
            peer.NoDelay = true;
            if (congestion is not null) peer.SetRawSocketOption(IpProtoTcp, TcpCongestion, Encoding.ASCII.GetBytes(congestion));
            while (peer.Receive(buffer, SocketFlags.None, out SocketError error) is > 0 and int got && error == SocketError.Success)
            {
                if (peer.Send(buffer.AsSpan(0, got), SocketFlags.None, out error) <= 0) break;
            }
        }
    }
}
