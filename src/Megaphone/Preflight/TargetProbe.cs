using System.Net;
using System.Net.Sockets;
using Megaphone.Configuration;
using Megaphone.Unix;

namespace Megaphone.Preflight;

/// <summary>Asks everything that is connected to whether it is there, and what it makes of this configuration.</summary>
/// <remarks>All of it side by side, so that it takes seconds, however much there is and whatever does not answer.</remarks>
internal static class TargetProbe
{
    /// <summary>The longest wait for a name server, for a connection, and for what a server answers, each.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    /// <summary>Asks all targets.</summary>
    public static async Task<IReadOnlyList<TargetAnswer>> AskAllAsync(Settings settings)
    {
        using LinkProbe? links = settings.Ecm is { } ecm ? new LinkProbe(ecm) : null;
        return await Task.WhenAll(settings.Targets.Select(target => AskAsync(target, links)));
    }

    private static async Task<TargetAnswer> AskAsync(Target target, LinkProbe? links)
    {
        EndPoint[] addresses;
        try
        {
            addresses = target.To.Known is { } known
                ? [known]
                : [
                    .. (await Dns.GetHostAddressesAsync(target.To.Host).WaitAsync(LongestWait))
                        .Select(address => new IPEndPoint(address, target.To.Port)),
                ];
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            return new TargetAnswer(target, error.Message, []);
        }
        catch (TimeoutException)
        {
            return new TargetAnswer(target, $"no answer within {LongestWait.TotalSeconds} s", []);
        }

        if (addresses.Length == 0) return new TargetAnswer(target, "it has no address", []);
        LinkProbe? probe = target.Kind == TargetKind.Link ? links : null;
        return new TargetAnswer(
            target,
            Unresolved: null,
            await Task.WhenAll(addresses.Distinct().Select(address => AskAsync(address, target.To.Host, probe))));
    }

    private static async Task<AddressAnswer> AskAsync(EndPoint address, string host, LinkProbe? probe)
    {
        using CancellationTokenSource timeout = new(LongestWait);
        try
        {
            UnixEndPoint? unix = address as UnixEndPoint;
            using Socket socket = new(address.AddressFamily, SocketType.Stream, unix is null ? ProtocolType.Tcp : ProtocolType.Unspecified);
            await socket.ConnectAsync(unix is null ? address : unix.ForSocket(), timeout.Token);
            return probe is null ? new AddressAnswer(address) : await probe.AskAsync(socket, address, host);
        }
        catch (SocketException error)
        {
            return new AddressAnswer(address) { Unreachable = error.Message };
        }
        catch (OperationCanceledException)
        {
            return new AddressAnswer(address) { Unreachable = $"no answer within {LongestWait.TotalSeconds} s" };
        }
    }
}
