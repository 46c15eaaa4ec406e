using System.Collections;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>Tells the service manager how far we are: sd_notify(3), one datagram for each state.</summary>
/// <param name="address">
/// The value of NOTIFY_SOCKET: a path, or <c>@name</c> in the abstract namespace; null: nobody asks.
/// </param>
/// <param name="log">Where a failure is noted; it is never fatal.</param>
internal sealed class SystemdNotifier(string? address, ILogger<SystemdNotifier> log)
{
    /// <summary>The address of the notification socket in these environment variables.</summary>
    public static string? AddressIn(IDictionary environment) => environment["NOTIFY_SOCKET"] as string;

    /// <summary>All listeners are bound.</summary>
    public void Ready() => Send("READY=1");

    /// <summary>The end has begun.</summary>
    public void Stopping() => Send("STOPPING=1");

    private void Send(string state)
    {
        if (string.IsNullOrEmpty(address)) return;

        try
        {
            // The abstract namespace is written with @ and addressed with a zero byte: unix(7).
            string path = address[0] == '@' ? $"\0{address[1..]}" : address;
            UnixDomainSocketEndPoint manager = new(path);
            using Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.SendTo(Encoding.UTF8.GetBytes(state), manager);
        }
        catch (Exception error) when (error is SocketException or ArgumentException or PlatformNotSupportedException)
        {
            ServiceLog.NotifyFailed(log, state, address, error.Message);
        }
    }
}
