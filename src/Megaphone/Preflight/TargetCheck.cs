using System.Net;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Values;

namespace Megaphone.Preflight;

/// <summary>Checks what everything that is connected to has answered.</summary>
/// <remarks>
/// What is not there now may come, and the service waits for it: that is a warning. A server that is there and will not have this configuration
/// is a failure.
/// </remarks>
internal sealed class TargetCheck(Settings settings, IReadOnlyList<TargetAnswer> answers, DateTimeOffset now)
{
    private const string OtherEnd = "Hub:Secret at a hub, `secret` of the listener in ejabberd";

    /// <summary>Runs all checks.</summary>
    public static IEnumerable<Finding> Run(Settings settings, IReadOnlyList<TargetAnswer> answers, DateTimeOffset now)
    {
        TargetCheck check = new(settings, answers, now);
        return [.. answers.SelectMany(check.Judge), .. check.SharedNames()];
    }

    private IEnumerable<Finding> Judge(TargetAnswer answer)
    {
        (string key, TargetKind kind, HostPort to) = answer.Target;
        if (answer.Unresolved is { } reason)
        {
            return
            [
                new(
                    Verdict.Fail,
                    key,
                    $"the name {to.Host} does not resolve: {reason}",
                    $"`getent hosts {to.Host}` must print an address; or configure an address instead"),
            ];
        }

        if (kind == TargetKind.Backend && IsOwnClientListener(to))
        {
            return
            [
                new(
                    Verdict.Fail,
                    key,
                    $"{to} is this ECM's own client listener: each session would open the next",
                    "write the XMPP server's own address"),
            ];
        }

        return answer.Addresses.SelectMany(one => Judge(answer.Target, one));
    }

    private IEnumerable<Finding> Judge(Target target, AddressAnswer answer)
    {
        string where = new TargetAddress(target.To, answer.Address).ToString();
        if (answer.Unreachable is { } reason) return [new(Verdict.Warn, target.Key, $"{where}: {reason}", FixUnreachable(target))];
        if (answer.Objection != Objection.None)
        {
            // It is the other end that has too many, and not for ever.
            Verdict verdict = IsFull(answer) ? Verdict.Warn : Verdict.Fail;
            return [new(verdict, target.Key, $"{where}: {answer.Reason}", answer.Fix ?? Fix(answer))];
        }

        string tls = answer.Tls is { } version ? $" over {version}" : "";
        Finding said = new(Verdict.Ok, target.Key, answer.Welcome is { } it ? $"{where}: {Describe(it, tls)}" : $"{where} takes connections{tls}");
        return
        [
            said,
            .. answer.Welcome is { } welcome ? Misfits(target.Key, where, answer.IsDraining, welcome) : [],
            .. Certificate(target.Key, where, answer.NotAfter),
        ];
    }

    private string Describe(in HandshakeResult welcome, string tls)
    {
        List<string> says = [$"{welcome.Name ?? "one without a name"} welcomes a link{tls}"];
        if (welcome.MaxPacket is { } maxPacket) says.Add($"packets up to {SizeText.Of(maxPacket)}");
        if (welcome.KeepAlive is { } keepAlive) says.Add($"a sign of life every {DurationText.Of(keepAlive)}");
        if (welcome.Resume?.Timeout is { } timeout) says.Add($"sessions outlive a cut of {DurationText.Of(timeout)}");
        if (settings.Ecm!.Link.Framing == LinkFraming.Stanza)
            says.Add(welcome.TellsLogins ? "it says who has logged in" : "it does not say who has logged in, so logins are not paced");
        return string.Join("; ", says);
    }

    private IEnumerable<Finding> Misfits(string key, string where, bool isDraining, HandshakeResult welcome)
    {
        EcmOptions ecm = settings.Ecm!;
        if (isDraining) yield return new(Verdict.Warn, key, $"{where} drains: it gets no new clients", "start it again");
        if (ecm.Connect.Resume && welcome.Resume?.Token is null)
        {
            yield return new(
                Verdict.Warn,
                key,
                $"{where} does not resume links: when one breaks its sessions end, and while it has clients no reload is possible",
                "Hub:ResumeTimeout at a hub, `resume_timeout` of the listener in ejabberd, or a newer version there");
        }

        int longest = ecm.Link.Framing == LinkFraming.Stanza ? ecm.Clients.Max(client => client.MaxStanzaBytes) + PacketHeader.Size : 0;
        if (welcome.MaxPacket < longest)
        {
            yield return new(
                Verdict.Warn,
                key,
                $"{where} takes packets up to {SizeText.Of(welcome.MaxPacket.Value)}, so clients with a stanza longer than that, which "
                + $"Ecm:Clients:N:MaxStanzaBytes allows, are refused",
                $"Hub:MaxPacketBytes {longest} at a hub, `max_packet: {longest}` of the listener in ejabberd, or less MaxStanzaBytes here");
        }
    }

    private IEnumerable<Finding> Certificate(string key, string where, DateTimeOffset? until)
    {
        if (until is { } notAfter && TlsCheck.DaysUntil(notAfter, now) is var days and < TlsCheck.RenewalDays)
            yield return new(Verdict.Warn, key, $"{where}: its certificate is valid for {days} more days", "renew it there");
    }

    /// <summary>Servers that are configured as several and call themselves one: only the first gets clients.</summary>
    private IEnumerable<Finding> SharedNames() => answers
        .SelectMany(answer => answer.Addresses.Select(one => (answer.Target, one.Welcome?.Name)).Distinct())
        .Where(one => one.Name is not null)
        .GroupBy(one => one.Name)
        .Where(same => same.Count() > 1)
        .Select(same => new Finding(
            Verdict.Warn,
            same.Last().Target.Key,
            $"{string.Join(" and ", same.Select(one => one.Target.To))} are both {same.Key}, so only one of them gets clients",
            "if these are two servers, give each a name of its own (Hub:Name); else leave one out"));

    private static string FixUnreachable(Target target) => target.Kind switch
    {
        TargetKind.Link => "start the hub, or ejabberd with the module, there (docs/operating.md, Into ejabberd); until then clients are refused",
        TargetKind.Backend => "start the XMPP server there; until then sessions for it end",
        _ => "start the HTTP server there; until then requests that are for no WebSocket are answered with 503",
    };

    private string Fix(AddressAnswer answer)
    {
        LinkConnectOptions connect = settings.Ecm!.Connect;
        switch (answer.Objection)
        {
            case Objection.Refused when answer.Says("secret"):
                return settings.Ecm.Link.Secret is null
                    ? $"write its secret ({OtherEnd}) as Ecm:Link:Secret, or into the file of Ecm:Link:SecretFile"
                    : $"Ecm:Link:Secret must be the secret there ({OtherEnd})";
            case Objection.Refused when answer.Says("framing"):
                return "\"Framing\": \"stanza\" in Ecm:Clients:N";
            case Objection.Refused when IsFull(answer):
                return "Hub:MaxLinks at a hub, `max_links` in ejabberd; those of an ECM that runs here count";
            case Objection.Refused when answer.Says("expired") && connect.Tls?.Own is { } old:
                return $"renew {old.Certificate} (Ecm:Link:Tls:Certificate), and {old.Key} (Ecm:Link:Tls:Key) if it gets a new key";
            case Objection.Refused when answer.Says("certificate"):
                return connect.Tls?.Own is { } own
                    ? $"the other end must trust {own.Certificate} (Ecm:Link:Tls:Certificate): Hub:Tls:ClientCa at a hub, `cafile` in ejabberd"
                    : "Ecm:Link:Tls:Certificate and Ecm:Link:Tls:Key, from an authority that the other end trusts";
            case Objection.Refused or Objection.Tls when connect.Tls is null && answer.Says("TLS"):
                return "\"Tls\": { \"Ca\": \"/etc/megaphone/links-ca.pem\" } in Ecm:Link (docs/operating.md, TLS on links)";
            case Objection.Tls:
                return "TLS at the other end: Hub:Tls at a hub, `tls: true` in ejabberd; or \"Tls\": false in Ecm:Link";
            case Objection.NoLink:
                return "write where links are listened for: Hub:Listen of a hub, or ejabberd's listener of the module ejabberd_megaphone";
            case Objection.Silent:
                return "see what it does; if it knows the plain protocol only, \"Control\": false in Ecm:Link";
            default:
                return "the log at the other end says more";
        }
    }

    private static bool IsFull(AddressAnswer answer) => answer.Says("MaxLinks") || answer.Says("max_links");

    private bool IsOwnClientListener(HostPort backend) =>
        settings.Ecm is { } ecm && backend.Address is { } address && ecm.Clients.Any(client =>
            IPAddress.IsLoopback(address)
                ? ListenAddress.Overlap(client.Listen, new IPEndPoint(address, backend.Port))
                : client.Listen.Equals(new IPEndPoint(address, backend.Port)));
}
