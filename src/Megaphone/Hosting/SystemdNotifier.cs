using System.Collections;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>Notifies the service manager of the service's state: sd_notify(3), one datagram for each.</summary>
/// <param name="address">
/// The value of NOTIFY_SOCKET: a path, or <c>@name</c> in the abstract namespace; null: there is no service manager.
/// </param>
/// <param name="log">The log for failures, which are never fatal.</param>
internal sealed class SystemdNotifier(string? address, ILogger<SystemdNotifier> log)
{
    /// <summary>The value of NOTIFY_SOCKET in these environment variables.</summary>
    public static string? AddressIn(IDictionary environment) => environment["NOTIFY_SOCKET"] as string;

    /// <summary>Reports that all listeners are bound.</summary>
    public void Ready() => Send("READY=1");

    /// <summary>Reports that a reload has begun; <see cref="Ready"/> reports its end.</summary>
    public void Reloading() => Send($"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}");

    /// <summary>Reports that the service is stopping.</summary>
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
