using System.Net;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Unix;
using Megaphone.Values;

namespace Megaphone.Preflight;

/// <summary>Checks the addresses that are listened on: whether they can be, and who reaches them.</summary>
internal sealed class ListenerCheck(Settings settings, MachineFacts machine)
{
    private const string Admin = "Admin:Listen", Hub = "Hub:Listen";

    /// <summary>Runs all checks.</summary>
    public static IEnumerable<Finding> Run(Settings settings, MachineFacts machine)
    {
        ListenerCheck check = new(settings, machine);
        return [.. settings.Listeners.Select(check.Bind), .. check.Ports(), .. check.Browsers(), .. check.Exposure()];
    }

    private Finding Bind((string Key, EndPoint Address) listener)
    {
        (string key, EndPoint address) = listener;
        return machine.Bindable[address] switch
        {
            null => new(Verdict.Ok, key, $"{address} can be bound"),
            { Service: null } when address is UnixEndPoint { Path: var path } && machine.Unit is { } unit
                && unit.RuntimeFolders.Contains(Path.GetDirectoryName(path)) && !UnixPath.Exists(path) =>
                new(Verdict.Ok, key, $"{address}: {Path.GetDirectoryName(path)} is made for the service, by {unit.Path}"),
            { IsForbidden: true } when address is IPEndPoint && machine.Unit is { MayListenBelow1024: true } unit =>
                new(Verdict.Ok, key, $"{address}: this user may not listen there, and the service may, by {unit.Path}"),
            { Service: { } process } => new(
                Verdict.Warn,
                key,
                $"{address}: a Megaphone, process {process}, listens there already",
                "`systemctl reload megaphone`, if that is the service: it keeps what it listens on; else stop it, or write another address"),
            { } obstacle => new(Verdict.Fail, key, $"{address}: {obstacle.Reason}", obstacle.Fix),
        };
    }

    /// <summary>A port from which the kernel also takes those of outgoing connections may be one's when a listener is to be bound.</summary>
    private IEnumerable<Finding> Ports()
    {
        if (machine.LocalPorts is not { } range) yield break;
        List<int> exposed =
        [
            .. settings.ListeningPorts.Distinct().Order()
                .Where(port => port != 0 && range.First <= port && port <= range.Last && !machine.ReservedPorts.Contains(port)),
        ];
        if (exposed.Count == 0) yield break;
        yield return new(
            Verdict.Warn,
            "local ports",
            $"{string.Join(", ", exposed)}: a connection of this machine may have such a port when it is to be listened on, "
            + $"as the kernel gives them ports from {range.First} to {range.Last}",
            $"sysctl -w {machine.ReservedPorts.With(exposed)}");
    }

    private IEnumerable<Finding> Browsers()
    {
        for (int i = 0; i < settings.Ecm?.Clients.Count; i++)
        {
            if (settings.Ecm.Clients[i].Web is not { } web) continue;
            string others = web.HttpTo is { } to
                ? $"relayed to {to}, each with two descriptors and two of MaxClients' places"
                : "refused, as there is no HttpTo";
            yield return new(Verdict.Ok, $"Ecm:Clients:{i}:Web", $"WebSockets at {web.Path}; all other requests are {others}");
        }

        if (settings.Ecm is null && settings.Hub is not null)
            yield return new(Verdict.Ok, "Hub", "takes links, and knows no XMPP: browsers connect to an ECM, with Ecm:Clients:N:Framing web");
    }

    private static bool IsExposed(EndPoint listening) => listening is IPEndPoint address && !IPAddress.IsLoopback(address.Address);

    /// <summary>What others on the network can read, or ask for.</summary>
    private IEnumerable<Finding> Exposure()
    {
        for (int i = 0; i < settings.Ecm?.Clients.Count; i++)
        {
            // Where packets carry bytes, the server behind does TLS.
            ClientListenerOptions client = settings.Ecm.Clients[i];
            if (client.Tls != ClientTls.None || client.Framing == ClientFraming.Bytes || !IsExposed(client.Listen)) continue;
            string tls = client.Framing == ClientFraming.Web ? "direct" : "starttls";
            yield return new(
                Verdict.Warn,
                $"Ecm:Clients:{i}:Tls",
                $"none: what clients send to {client.Listen} can be read on the way, passwords included",
                $"\"Tls\": \"{tls}\", and Ecm:Tls:Certificates (docs/operating.md, TLS); or a loopback address, for a proxy there that does TLS");
        }

        foreach (Target target in settings.Targets.Where(target => target.IsElsewhere))
        {
            if (target.Kind == TargetKind.Link && settings.Ecm!.Connect.Tls is not null) continue;
            yield return new(
                Verdict.Warn,
                target.Key,
                $"what is sent to {target.To} can be read on the way"
                + (target.Kind == TargetKind.Link && settings.Ecm!.Link.Secret is not null ? ", the secret included" : ""),
                target.Kind == TargetKind.Link
                    ? "Ecm:Link:Tls, and TLS at the other end (docs/operating.md, TLS on links)"
                    : "a hub or an ECM on that machine itself, as links can have TLS");
        }

        if (settings.Hub is { Tls: null } hub && IsExposed(hub.Listen))
            yield return new(
                Verdict.Warn, Hub, $"what links send to {hub.Listen} can be read on the way", "Hub:Tls (docs/operating.md, TLS on links)");

        if (settings.Admin is { } admin && !IPAddress.IsLoopback(admin.Listen.Address))
            yield return new(
                Verdict.Warn,
                Admin,
                $"whoever reaches {admin.Listen} can read what runs here, and how many are connected",
                $"\"Listen\": \"{new HostPort("127.0.0.1", admin.Listen.Port)}\", or a firewall that lets in nobody but the monitoring");
    }
}
