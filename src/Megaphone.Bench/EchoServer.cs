using System.Runtime.InteropServices;
using System.Text;
using Megaphone.Interop;
using Megaphone.Reactor;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench echo-server</c>: sends back to each client what it has sent, with two calls to the kernel for what arrives at a
/// time. One thread: what stands between a client and this server is measured, so this takes as little as can be.
/// </summary>
/// <remarks>Sending blocks: a client that does not read stops the server for all of them. Load generators read.</remarks>
internal static unsafe class EchoServer
{
    private const int EventsAtATime = 512;
    private const int BufferBytes = 256 << 10;
    private const int Backlog = 4096;
    private const int TcpCongestion = 13;
    private const ulong ListenerData = ulong.MaxValue;

    /// <summary>Serves until a signal ends the process. Prints a line when it is ready, with the address.</summary>
    /// <exception cref="IOException">The address cannot be bound, there is no such congestion control, or no descriptor is left.</exception>
    public static bool Run(EchoServerOptions options)
    {
        ulong limit = OpenFileLimit.RaiseToHard();
        int listener = Listen(options);
        using Epoll epoll = new();
        epoll.Add(listener, Libc.EpollIn, ListenerData);
        Console.Out.WriteLine($"megaphone bench echo-server ready {NativeSocket.LocalAddress(listener).ToEndPoint()}");

        byte* buffer = (byte*)NativeMemory.Alloc(BufferBytes);
        EpollEvent* events = stackalloc EpollEvent[EventsAtATime];
        while (true)
        {
            int count = epoll.Wait(events, EventsAtATime, timeout: -1);
            for (int i = 0; i < count; i++)
            {
                if (events[i].Data == ListenerData) Accept(listener, epoll, limit);
                else Echo((int)events[i].Data, buffer);
            }
        }
    }

    private static int Listen(EchoServerOptions options)
    {
        int listener = NativeSocket.Listen(options.Listen, Backlog, new TcpLivenessOptions());
        if (options.Congestion is not { } name) return listener;

        // Its connections inherit it.
        byte[] text = Encoding.ASCII.GetBytes(name);
        fixed (byte* first = text)
        {
            if (Libc.SetSocketOption(listener, Libc.IpProtoTcp, TcpCongestion, first, (uint)text.Length) == 0) return listener;
        }

        throw new IOException($"no congestion control {name}: {Libc.Describe(Marshal.GetLastPInvokeError())}");
    }

    private static void Accept(int listener, Epoll epoll, ulong limit)
    {
        for (int client; (client = Libc.Accept(listener, null, null, Libc.SockCloseOnExec)) >= 0;) epoll.Add(client, Libc.EpollIn, (ulong)client);

        // The client stays in the queue, and epoll would report it without end.
        int error = Marshal.GetLastPInvokeError();
        if (error is Errno.TooManyFiles or Errno.TooManyFilesInSystem)
        {
            throw new IOException(
                $"no descriptor is left for another client: {Libc.Describe(error)}; this process may have {limit}; "
                + "raise its hard limit (ulimit -Hn, LimitNOFILE), or let fewer clients connect");
        }
    }

    private static void Echo(int client, byte* buffer)
    {
        nint got = Libc.Receive(client, buffer, BufferBytes, Libc.MsgDontWait);
        nint sent = 0;
        while (sent < got && Libc.Send(client, buffer + sent, (nuint)(got - sent), Libc.MsgNoSignal) is > 0 and nint more) sent += more;
        bool isOver = got == 0 || sent < got || (got < 0 && Marshal.GetLastPInvokeError() != Errno.TryAgain);
        if (isOver) _ = Libc.Close(client);
    }
}
