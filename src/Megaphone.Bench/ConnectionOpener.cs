using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Reactor;

namespace Megaphone.Bench;

/// <summary>Opens connections, many at the same time, each from the next of many addresses. For one thread.</summary>
internal sealed unsafe class ConnectionOpener(IPEndPoint to, SourceAddresses? from) : IDisposable
{
    private const int IpProtoIp = 0;
    private const int BindAddressNoPort = 24;
    private const int EventsAtATime = 256;
    private const int AddressNotAvailable = 99;

    private readonly NativeAddress _to = new(to);
    private readonly Epoll _epoll = new();

    /// <summary>
    /// Is given a connection that is established, which it owns from then on; or a negative number, and the reason why there is none.
    /// </summary>
    public delegate void Opened(int index, int descriptor, string? problem);

    /// <summary>Connections that are being opened.</summary>
    public int Pending { get; private set; }

    /// <summary>Begins to open a connection.</summary>
    /// <param name="index">Its index.</param>
    /// <param name="opened">Called at once when the attempt fails at once.</param>
    public void Begin(int index, Opened opened)
    {
        int descriptor = Libc.Socket(_to.Family, Libc.SockStream | Libc.SockNonBlock | Libc.SockCloseOnExec, 0);
        int error = descriptor < 0 ? Marshal.GetLastPInvokeError() : Connect(descriptor, index);
        if (error is not (0 or Errno.InProgress))
        {
            Fail(index, descriptor, error, opened);
            return;
        }

        error = _epoll.Add(descriptor, Libc.EpollOut, ((ulong)index << 32) | (uint)descriptor);
        if (error == 0) Pending++;
        else Fail(index, descriptor, error, opened);
    }

    /// <summary>Hands over the connections that are established or have failed, without waiting.</summary>
    public void Poll(Opened opened)
    {
        EpollEvent* events = stackalloc EpollEvent[EventsAtATime];
        while (Pending > 0)
        {
            int count = _epoll.Wait(events, EventsAtATime, 0);
            for (int i = 0; i < count; i++)
            {
                int index = (int)(events[i].Data >> 32), descriptor = (int)events[i].Data;
                _epoll.Remove(descriptor);
                Pending--;
                int error = Libc.TakeSocketError(descriptor);
                if (error == 0) opened(index, descriptor, null);
                else Fail(index, descriptor, error, opened);
            }

            if (count < EventsAtATime) return;
        }
    }

    /// <summary>Leaves connections that are being opened to the end of the process.</summary>
    public void Dispose() => _epoll.Dispose();

    /// <returns>0, or the error number.</returns>
    private int Connect(int descriptor, int index)
    {
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpNoDelay, 1);
        if (from is not null)
        {
            // The port is left to connect, which knows that one may serve several destinations.
            _ = Libc.SetSocketOption(descriptor, IpProtoIp, BindAddressNoPort, 1);
            NativeAddress source = from.Of(index);
            if (Libc.Bind(descriptor, &source, source.Length) != 0) return Marshal.GetLastPInvokeError();
        }

        NativeAddress target = _to;
        return Libc.Connect(descriptor, &target, target.Length) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    private static void Fail(int index, int descriptor, int error, Opened opened)
    {
        if (descriptor >= 0) _ = Libc.Close(descriptor);
        string advice = error switch
        {
            Errno.TooManyFiles => ": raise the limit of open files (ulimit -n, LimitNOFILE)",
            AddressNotAvailable => ": ports have run out, or the address is not this machine's: see --from",
            _ => "",
        };
        opened(index, -1, $"no connection, {Libc.Describe(error)}{advice}");
    }
}
