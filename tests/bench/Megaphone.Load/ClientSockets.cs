using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Load;

/// <summary>Opens many connections to one address.</summary>
internal static unsafe class ClientSockets
{
    private const int IpProtoIp = 0;
    private const int IpBindAddressNoPort = 24;

    /// <summary>One source address has some 28,000 ports; these make room for more connections than one process may have.</summary>
    private const int Sources = 8;

    /// <summary>Connects; the sockets are blocking, and send at once what they are given.</summary>
    /// <param name="to">An IPv4 address. If it is a loopback address, several of those are the sources.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="IOException">One could not be connected.</exception>
    public static int[] Open(IPEndPoint to, int count)
    {
        int[] descriptors = new int[count];
        for (int i = 0; i < count; i++)
        {
            descriptors[i] = Open(to, IPAddress.IsLoopback(to.Address) ? new IPAddress([127, 66, 0, (byte)(1 + i % Sources)]) : null)
                is >= 0 and int descriptor
                ? descriptor
                : throw new IOException($"connection {i + 1} to {to}: {Libc.Describe(Marshal.GetLastPInvokeError())}");
        }

        return descriptors;
    }

    private static int Open(IPEndPoint to, IPAddress? from)
    {
        int descriptor = Libc.Socket(Libc.AfInet, Libc.SockStream | Libc.SockCloseOnExec, 0);
        if (descriptor < 0) return -1;

        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpNoDelay, 1);
        if (from is not null)
        {
            // The port is chosen by connect, which knows that another destination does not collide.
            _ = Libc.SetSocketOption(descriptor, IpProtoIp, IpBindAddressNoPort, 1);
            NativeAddress source = new(new IPEndPoint(from, 0));
            if (Libc.Bind(descriptor, &source, source.Length) != 0) return -1;
        }

        NativeAddress target = new(to);
        return Libc.Connect(descriptor, &target, target.Length) == 0 ? descriptor : -1;
    }
}
