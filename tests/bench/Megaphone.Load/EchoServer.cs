using System.Globalization;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Reactor;

namespace Megaphone.Load;

/// <summary>A TCP server, one thread, that sends back to each client what it said.</summary>
internal static unsafe class EchoServer
{
    private const uint ListenerData = uint.MaxValue;
    private const int EventsAtATime = 512;
    private const int BufferBytes = 64 << 10;

    private static readonly Poller Poller = new();
    private static readonly byte[] Buffer = new byte[BufferBytes];

    /// <summary>What a client was slow to take, by its descriptor. Until it is gone, nothing more is read from that client.</summary>
    private static readonly Dictionary<int, byte[]> Waiting = [];

    /// <summary>Runs until standard input ends.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public static void Run(Arguments arguments)
    {
        int listener = NativeSocket.Listen(arguments.EndPoint("listen"), backlog: 4096, new TcpLivenessOptions());
        arguments.RefuseOthers();
        Poller.Add(listener, ListenerData);
        ParentGuard.EndWithInput();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"READY {NativeSocket.LocalAddress(listener).ToEndPoint()}"));

        EpollEvent[] events = new EpollEvent[EventsAtATime];
        while (true)
        {
            int count = Poller.Wait(events, nanoseconds: -1);
            for (int i = 0; i < count; i++)
            {
                int descriptor = (int)events[i].Data;
                if (events[i].Data == ListenerData) Accept(listener);
                else if (Waiting.Remove(descriptor, out byte[]? waiting)) Send(descriptor, waiting, wasWaiting: true);
                else Receive(descriptor);
            }
        }
    }

    private static void Accept(int listener)
    {
        const int Flags = Libc.SockNonBlock | Libc.SockCloseOnExec;
        for (int client; (client = Libc.Accept(listener, null, null, Flags)) >= 0;) Poller.Add(client, (uint)client);
    }

    private static void Receive(int descriptor)
    {
        nint got;
        fixed (byte* buffer = Buffer) got = Libc.Receive(descriptor, buffer, BufferBytes, 0);
        if (got > 0)
            Send(descriptor, Buffer.AsSpan(0, (int)got), wasWaiting: false);
        else if (got == 0 || Marshal.GetLastPInvokeError() != Errno.TryAgain)
            _ = Libc.Close(descriptor);
    }

    private static void Send(int descriptor, ReadOnlySpan<byte> bytes, bool wasWaiting)
    {
        nint taken;
        fixed (byte* first = bytes) taken = Libc.Send(descriptor, first, (nuint)bytes.Length, Libc.MsgNoSignal);
        if (taken < 0 && Marshal.GetLastPInvokeError() != Errno.TryAgain)
        {
            _ = Libc.Close(descriptor);
            return;
        }

        bytes = bytes[(int)Math.Max(0, taken)..];
        if (bytes.Length > 0) Waiting[descriptor] = bytes.ToArray();
        bool isWaiting = bytes.Length > 0;
        if (isWaiting != wasWaiting)
            Poller.Change(descriptor, isWaiting ? Libc.EpollOut : Libc.EpollIn, (uint)descriptor);
    }
}
