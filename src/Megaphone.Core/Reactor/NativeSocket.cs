using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Unix;

namespace Megaphone.Reactor;

/// <summary>Makes raw descriptors of TCP and of Unix sockets, non-blocking. An exec closes those that listen, and not those of connections.</summary>
internal static unsafe class NativeSocket
{
    /// <summary>What one call drops: more than a socket holds, and an end for a peer that sends as fast.</summary>
    private const int MostDiscarded = 1 << 20;

    private const int DiscardedAtOnce = 16 << 10;

    /// <summary>Makes a listening socket.</summary>
    /// <exception cref="ListenException">The address cannot be bound.</exception>
    public static int Listen(EndPoint endPoint, int backlog, TcpLivenessOptions liveness, UnixFileMode mode = default)
    {
        if (endPoint is not UnixEndPoint unix) return ListenOverTcp((IPEndPoint)endPoint, backlog, liveness);
        try
        {
            return UnixPath.Listen(unix.Path, mode, backlog);
        }
        catch (IOException error)
        {
            throw new ListenException(endPoint, error.Message);
        }
    }

    /// <summary>Makes one whose connections inherit TCP_NODELAY and the liveness options.</summary>
    private static int ListenOverTcp(IPEndPoint endPoint, int backlog, TcpLivenessOptions liveness)
    {
        NativeAddress address = new(endPoint);
        int descriptor = Create(address.Family, Libc.SockCloseOnExec);
        if (descriptor >= 0)
        {
            _ = Libc.SetSocketOption(descriptor, Libc.SolSocket, Libc.SoReuseAddress, 1);

            // "[::]" takes IPv4 too, whatever the machine's default is.
            if (address is { Family: Libc.AfInet6, IsAny: true }) _ = Libc.SetSocketOption(descriptor, Libc.IpProtoV6, Libc.V6Only, 0);

            // Linux copies these to every accepted connection, which saves five system calls for each.
            SetOptions(descriptor, liveness);
            if (Libc.Bind(descriptor, &address, address.Length) == 0 && Libc.Listen(descriptor, backlog) == 0) return descriptor;
        }

        string reason = Libc.Describe(Marshal.GetLastPInvokeError());
        if (descriptor >= 0) _ = Libc.Close(descriptor);
        throw new ListenException(endPoint, reason);
    }

    /// <summary>Goes on with a listening socket that was handed over, with the options as they are now.</summary>
    /// <exception cref="ListenException">It does not listen.</exception>
    public static void ListenOn(int descriptor, EndPoint endPoint, int backlog, TcpLivenessOptions liveness)
    {
        _ = Libc.ControlDescriptor(descriptor, Libc.SetDescriptorFlags, Libc.DescriptorCloseOnExec);
        if (endPoint is IPEndPoint) SetOptions(descriptor, liveness);
        if (Libc.Listen(descriptor, backlog) != 0) throw new ListenException(endPoint, Libc.Describe(Marshal.GetLastPInvokeError()));
    }

    /// <summary>Makes a socket of the runtime from one that was handed over.</summary>
    public static Socket Adopt(int descriptor)
    {
        _ = Libc.ControlDescriptor(descriptor, Libc.SetDescriptorFlags, Libc.DescriptorCloseOnExec);
        return new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
    }

    /// <summary>Gives an accepted connection its own time of silence before the first keepalive probe.</summary>
    public static void SpreadKeepAlive(int descriptor, TcpLivenessOptions liveness) =>
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpKeepIdle, Spread(liveness.Idle));

    /// <summary>Begins a connection for a client, which may not take what <see cref="DescriptorReserve"/> keeps back.</summary>
    /// <returns>The descriptor, connecting; or -1 with <paramref name="errno"/>.</returns>
    public static int Connect(in NativeAddress to, TcpLivenessOptions liveness, out int errno)
    {
        NativeAddress address = to;
        int descriptor = Create(address.Family);
        if (descriptor < 0)
        {
            errno = Marshal.GetLastPInvokeError();
            return -1;
        }

        if (DescriptorReserve.Includes(descriptor))
        {
            _ = Libc.Close(descriptor);
            errno = Errno.TooManyFiles;
            return -1;
        }

        SetOptions(descriptor, liveness);
        errno = Libc.Connect(descriptor, &address, address.Length) == 0 ? 0 : Marshal.GetLastPInvokeError();
        if (errno is 0 or Errno.InProgress)
        {
            errno = 0;
            return descriptor;
        }

        _ = Libc.Close(descriptor);
        return -1;
    }

    /// <summary>The address that a socket is bound to.</summary>
    public static NativeAddress LocalAddress(int descriptor)
    {
        NativeAddress address = default;
        uint length = NativeAddress.Size;
        _ = Libc.GetSocketName(descriptor, &address, &length);
        return address.IsUnix ? NativeAddress.Unix : address;
    }

    /// <summary>The address at the other end of a socket; zeros when it is not connected any more.</summary>
    public static NativeAddress PeerAddress(int descriptor)
    {
        NativeAddress address = default;
        uint length = NativeAddress.Size;
        _ = Libc.GetPeerName(descriptor, &address, &length);
        return address.IsUnix ? NativeAddress.Unix : address;
    }

    /// <summary>The kernel reports input from so many bytes on, or from fewer when it can hold no more, or no more can come (SO_RCVLOWAT).</summary>
    public static void ReportFrom(int descriptor, int bytes) =>
        _ = Libc.SetSocketOption(descriptor, Libc.SolSocket, Libc.SoReceiveLowWater, bytes);

    /// <summary>From how many bytes on the kernel reports input.</summary>
    public static int LeastReported(int descriptor) =>
        Libc.GetSocketOption(descriptor, Libc.SolSocket, Libc.SoReceiveLowWater, out int bytes) == 0 ? bytes : 1;

    /// <summary>Drops what has arrived and was not received: to close a socket with that would reset the connection.</summary>
    public static void DiscardInput(int descriptor)
    {
        nint dropped = Libc.Receive(descriptor, null, MostDiscarded, Libc.MsgDontWait | Libc.MsgTruncate);
        if (dropped >= 0 || Marshal.GetLastPInvokeError() != Errno.BadAddress) return;

        // Only TCP can drop what it does not copy.
        byte* bytes = stackalloc byte[DiscardedAtOnce];
        nint all = 0;
        while (all < MostDiscarded && (dropped = Libc.Receive(descriptor, bytes, DiscardedAtOnce, Libc.MsgDontWait)) > 0) all += dropped;
    }

    private static int Create(int family, int more = 0) => Libc.Socket(family, Libc.SockStream | Libc.SockNonBlock | more, 0);

    private static void SetOptions(int descriptor, TcpLivenessOptions liveness)
    {
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpNoDelay, 1);
        _ = Libc.SetSocketOption(descriptor, Libc.SolSocket, Libc.SoKeepAlive, 1);
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpKeepIdle, Spread(liveness.Idle));
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpKeepInterval, Spread(liveness.Interval));
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpKeepCount, liveness.Probes);
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpUserTimeout, (int)liveness.UserTimeout.TotalMilliseconds);
    }

    /// <summary>Between three quarters of a time and all of it, in seconds.</summary>
    /// <remarks>
    /// The kernel rounds timers of minutes to sixteen seconds, so it would send the probes of very many connections at once: more than
    /// the queues of network devices hold. The probes that were lost would then be sent again at once, too.
    /// </remarks>
    private static int Spread(TimeSpan time)
    {
        int seconds = (int)time.TotalSeconds;
        return seconds - Random.Shared.Next((seconds / 4) + 1);
    }
}
