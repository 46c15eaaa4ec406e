using System.Runtime.InteropServices;
using System.Text;
using Megaphone.Interop;
using Megaphone.Reactor;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench echo-server</c>: sends back to each client what it said, with two calls to the kernel for what arrives at a
/// time. One thread: what stands between a client and this server is measured, so this takes as little as can be.
/// </summary>
/// <remarks>Sending blocks: a client that does not read stops the server for all of them. Load generators read.</remarks>
internal sealed unsafe class EchoServer : IDisposable
{
    private const int EventsAtATime = 512;
    private const int BufferBytes = 256 << 10;
    private const int Backlog = 4096;
    private const int TcpCongestion = 13;
    private const ulong ListenerData = ulong.MaxValue;

    private readonly Epoll _epoll = new();
    private readonly byte* _buffer = (byte*)NativeMemory.Alloc(BufferBytes);
    private readonly int _listener;

    /// <summary>Begins to listen.</summary>
    /// <exception cref="IOException">The address cannot be bound, or there is no such congestion control.</exception>
    public EchoServer(EchoServerOptions options)
    {
        _listener = NativeSocket.Listen(options.Listen, Backlog, new TcpLivenessOptions());
        if (options.Congestion is { } name)
        {
            // Its connections inherit it.
            byte[] text = Encoding.ASCII.GetBytes(name);
            fixed (byte* first = text)
            {
                if (Libc.SetSocketOption(_listener, Libc.IpProtoTcp, TcpCongestion, first, (uint)text.Length) != 0)
                    throw new IOException($"no congestion control {name}: {Libc.Describe(Marshal.GetLastPInvokeError())}");
            }
        }

        _epoll.Add(_listener, Libc.EpollIn, ListenerData);
    }

    /// <summary>Listens and serves until the process is ended by a signal. Says on standard output when it is ready, and where.</summary>
    /// <exception cref="IOException">The address cannot be bound, or there is no such congestion control.</exception>
    public static bool Run(EchoServerOptions options)
    {
        using EchoServer server = new(options);
        Console.Out.WriteLine($"megaphone bench echo-server ready {NativeSocket.LocalAddress(server._listener).ToEndPoint()}");
        server.Serve();
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _epoll.Dispose();
        _ = Libc.Close(_listener);
        NativeMemory.Free(_buffer);
    }

    private void Serve()
    {
        EpollEvent* events = stackalloc EpollEvent[EventsAtATime];
        while (true)
        {
            int count = _epoll.Wait(events, EventsAtATime, timeout: -1);
            for (int i = 0; i < count; i++)
            {
                if (events[i].Data == ListenerData) Accept();
                else Echo((int)events[i].Data);
            }
        }
    }

    private void Accept()
    {
        for (int client; (client = Libc.Accept(_listener, null, null, Libc.SockCloseOnExec)) >= 0;) _epoll.Add(client, Libc.EpollIn, (ulong)client);
    }

    private void Echo(int client)
    {
        nint got = Libc.Receive(client, _buffer, BufferBytes, Libc.MsgDontWait);
        nint sent = 0;
        while (sent < got && Libc.Send(client, _buffer + sent, (nuint)(got - sent), Libc.MsgNoSignal) is > 0 and nint more) sent += more;
        bool isOver = got == 0 || sent < got || (got < 0 && Marshal.GetLastPInvokeError() != Errno.TryAgain);
        if (isOver) _ = Libc.Close(client);
    }
}
