using System.Net;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Tls;
using Megaphone.Unix;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Reads the ECM's section.</summary>
internal static class EcmSettings
{
    private const string Clients = "Ecm:Clients";
    private const string Certificates = "Ecm:Tls:Certificates";
    private const int MostListeners = 256;

    /// <summary>Reads it.</summary>
    /// <param name="reader">Where values come from.</param>
    /// <param name="runs">Whether the ECM runs; what only matters then is not refused otherwise.</param>
    public static EcmOptions Read(SettingsReader reader, bool runs)
    {
        List<ClientListenerOptions> clients = ReadClients(reader, out LinkFraming framing);
        bool speaksTls = clients.Any(client => client.Tls != ClientTls.None);
        if (runs && !speaksTls) RefuseUnusedTls(reader);
        EcmOptions ecm = new()
        {
            Clients = clients,
            Connect = ReadConnect(reader),
            Link = LinkSettings.Read(reader, SettingKeys.EcmLink) with { Framing = framing },
            Proxy = reader.Read(SettingKeys.Proxy),
            Tls = ReadTls(reader, runs && speaksTls),
            Limits = ReadLimits(reader),
            Logins = new LoginOptions
            {
                AtOnce = reader.Read(SettingKeys.LoginsAtOnce),
                MaxWait = reader.Read(SettingKeys.LoginsMaxWait),
            },
            MaxClients = reader.Read(SettingKeys.MaxClients),
            Reactors = reader.Read(SettingKeys.EcmReactors),
            Backlog = reader.Read(SettingKeys.Backlog),
            HalfOpenTimeout = reader.Read(SettingKeys.EcmHalfOpenTimeout),
            CloseRate = reader.Read(SettingKeys.CloseRate),
            DrainOver = reader.Read(SettingKeys.DrainOver),
            SeeOtherHost = reader.Read(SettingKeys.SeeOtherHost),
            SeeOtherUri = reader.Read(SettingKeys.SeeOtherUri),
            Buffers = ConnectionSettings.ReadBuffers(reader, SettingKeys.EcmConnections),
            IncompleteBytes = reader.Read(SettingKeys.IncompleteBytes),
            Liveness = ConnectionSettings.ReadLiveness(reader, SettingKeys.EcmConnections),
        };
        if (framing == LinkFraming.Stanza) RefuseTooLongStanzas(reader, ecm);
        else if (runs && ecm.SeeOtherHost is not null)
            reader.Refuse(SettingKeys.SeeOtherHost, $"wants {SettingKeys.Framing.At("0").Path} to be stanza: bytes are not known to be XMPP", "null");
        if (runs && ecm.SeeOtherUri is not null && clients.All(client => client.Web is null))
            reader.Refuse(SettingKeys.SeeOtherUri, $"wants a listener with {SettingKeys.Framing.Path} web: no other clients are told a URI", "null");
        if (ecm.Tls is { ChannelBinding: true }) RefuseExposedBindings(reader, ecm);
        return ecm;
    }

    private static List<ClientListenerOptions> ReadClients(SettingsReader reader, out LinkFraming framing)
    {
        IReadOnlyList<string> given = reader.Items(Clients);
        IReadOnlyList<string> items = given.Count > 0 ? given : ["0"];
        if (items.Count > MostListeners)
            reader.Refuse(Clients, $"lists {items.Count} addresses, and {MostListeners} are possible", "fewer, or one on 0.0.0.0 for all");

        List<ClientListenerOptions> clients = [];
        framing = LinkFramingFor(reader.Read(SettingKeys.Framing.At(items[0])));
        foreach (string item in items)
        {
            SettingKey<EndPoint> listen = SettingKeys.Listen.At(item);
            IReadOnlyList<IPNetwork?> proxies = reader.ReadList(SettingKeys.ProxyFrom.At(item), []);
            clients.Add(new ClientListenerOptions
            {
                Listen = reader.Read(listen),
                SocketMode = reader.Read(SettingKeys.SocketMode.At(item)),
                Tls = reader.Read(SettingKeys.ClientTls.At(item)),
                Framing = reader.Read(SettingKeys.Framing.At(item)),
                Web = ReadWeb(reader, item),
                ProxyFrom = [.. proxies.OfType<IPNetwork>()],
                ProxyFromUnix = proxies.Contains(null),
                MaxStanzaBytes = reader.Read(SettingKeys.MaxStanzaBytes.At(item)),
            });
            if (given.Count > 0 && !reader.IsGiven(listen)) reader.Refuse(listen, "must be given", "0.0.0.0:5222");
            if (reader.IsMeant(listen.Path)) RefuseOtherKind(reader, item, clients[^1]);
            string right = framing == LinkFraming.Stanza ? "stanza or web" : "bytes";
            SettingKey<ClientFraming> own = SettingKeys.Framing.At(item);
            if (LinkFramingFor(reader.Read(own)) != framing)
            {
                reader.Refuse(
                    own,
                    $"must be {right}, as for {Clients}:{items[0]}: all clients share the links, and a link has one framing",
                    ControlNames.Of(framing));
            }
        }

        return clients;
    }

    /// <summary>Nobody connects from a network to a Unix socket, or the other way round: what is meant for the other is a mistake.</summary>
    private static void RefuseOtherKind(SettingsReader reader, string item, ClientListenerOptions client)
    {
        bool isUnix = client.Listen is UnixEndPoint;
        string listen = $"{SettingKeys.Listen.At(item).Path} is {client.Listen}";
        HubSettings.RefuseModeOfAddress(reader, SettingKeys.SocketMode.At(item), SettingKeys.Listen.At(item), client.Listen);
        foreach (SettingKey<IPNetwork?> list in (SettingKey<IPNetwork?>[])[SettingKeys.ProxyFrom.At(item), SettingKeys.WebForwardedFrom.At(item)])
        {
            foreach (SettingKey<IPNetwork?> key in reader.Items(list.Parent).Select(list.At).Where(reader.IsGiven))
            {
                if (!reader.IsMeant(key.Path) || reader.Read(key) is null == isUnix) continue;
                reader.Refuse(
                    key,
                    isUnix ? $"must be {SettingFormats.Unix}, since {listen}: nobody connects from a network there"
                        : $"is for a Unix socket, and {listen}",
                    isUnix ? SettingFormats.Unix : SettingFormats.Network.Example);
            }
        }
    }

    private static LinkFraming LinkFramingFor(ClientFraming clients) =>
        clients == ClientFraming.Bytes ? LinkFraming.Bytes : LinkFraming.Stanza;

    private static WebOptions? ReadWeb(SettingsReader reader, string item)
    {
        string section = $"{Clients}:{item}:Web";
        WebOptions defaults = new();
        IReadOnlyList<IPNetwork?> forwarders = reader.ReadList(SettingKeys.WebForwardedFrom.At(item), []);
        WebOptions web = new()
        {
            Path = reader.Read(SettingKeys.WebPath.At(item)),
            Ping = reader.Read(SettingKeys.WebPing.At(item)),
            HttpTo = reader.Read(SettingKeys.WebHttpTo.At(item)),
            ForwardedFrom = [.. forwarders.OfType<IPNetwork>()],
            ForwardedFromUnix = forwarders.Contains(null),
            Origins = reader.ReadList(SettingKeys.WebOrigin.At(item), defaults.Origins),
        };
        SettingKey<ClientFraming> framing = SettingKeys.Framing.At(item);
        bool isWeb = reader.Read(framing) == ClientFraming.Web;
        SettingKey<ClientTls> tls = SettingKeys.ClientTls.At(item);
        if (!isWeb && reader.Below(section).Any()) reader.Refuse(framing, $"must be web where there is {section}", "web");
        if (isWeb && reader.Read(tls) == ClientTls.StartTls)
            reader.Refuse(tls, $"must be direct or none, since {framing.Path} is web: HTTP has no STARTTLS", "direct");
        return isWeb ? web : null;
    }

    private static LimitOptions ReadLimits(SettingsReader reader)
    {
        LimitOptions defaults = new();
        LimitOptions limits = new()
        {
            PerAddress = reader.Read(SettingKeys.PerAddress),
            PerAddressRate = reader.Read(SettingKeys.PerAddressRate),
            Ipv4Prefix = reader.Read(SettingKeys.Ipv4Prefix),
            Ipv6Prefix = reader.Read(SettingKeys.Ipv6Prefix),
            Ipv6Site = reader.Read(SettingKeys.Ipv6Site),
            Allow = reader.ReadList(SettingKeys.Allow, defaults.Allow),
            Deny = reader.ReadList(SettingKeys.Deny, defaults.Deny),
            Exempt = reader.ReadList(SettingKeys.Exempt, defaults.Exempt),
            LoginTimeout = reader.Read(SettingKeys.LoginTimeout),
            StanzaBytesBeforeLogin = reader.Read(SettingKeys.StanzaBytesBeforeLogin),
        };
        if (limits.Ipv6Site >= limits.Ipv6Prefix)
        {
            reader.Refuse(
                SettingKeys.Ipv6Site,
                $"must be below {SettingKeys.Ipv6Prefix.Path}, which is {limits.Ipv6Prefix}, or 0: a site is wider than an address", "0");
        }

        return limits;
    }

    private static void RefuseTooLongStanzas(SettingsReader reader, EcmOptions ecm)
    {
        int longest = ecm.Clients.Max(client => client.MaxStanzaBytes);
        if (ecm.IncompleteBytes < longest)
        {
            reader.Refuse(
                SettingKeys.IncompleteBytes,
                $"must not be below the longest {SettingKeys.MaxStanzaBytes.Path}, which is {SizeText.Of(longest)} "
                + $"(this is {SizeText.Of(ecm.IncompleteBytes)})",
                SizeText.Of(longest));
        }

        int largest = StanzaFraming.LargestFor(ecm.Link);
        for (int i = 0; i < ecm.Clients.Count; i++)
        {
            if (ecm.Clients[i].MaxStanzaBytes <= largest) continue;
            reader.Refuse(
                SettingKeys.MaxStanzaBytes.At($"{i}"),
                $"must be at most {SizeText.Of(largest)}: a stanza is one packet, so Ecm:MaxPacketBytes, "
                + $"which is {SizeText.Of(ecm.Link.MaxPacketBytes)}, must be {PacketHeader.Size} more, and Ecm:Link:RingBytes, "
                + $"which is {SizeText.Of(ecm.Link.RingBytes)}, four times as much (this is {SizeText.Of(ecm.Clients[i].MaxStanzaBytes)})",
                SizeText.Of(largest));
        }
    }

    private static LinkConnectOptions ReadConnect(SettingsReader reader)
    {
        LinkConnectOptions connect = new()
        {
            To = [.. reader.ReadOneOrMore(SettingKeys.LinkTo, SettingKeys.LinkToEach).Select(to => to.Value)],
            Tls = ReadLinkTls(reader),
            Count = reader.Read(SettingKeys.LinkCount),
            Control = reader.Read(SettingKeys.LinkControl),
            Resume = reader.Read(SettingKeys.LinkResume),
            ConnectTimeout = reader.Read(SettingKeys.LinkConnectTimeout),
            RetryMin = reader.Read(SettingKeys.LinkRetryMin),
            RetryMax = reader.Read(SettingKeys.LinkRetryMax),
        };
        if (connect.RetryMin > connect.RetryMax)
        {
            string least = DurationText.Of(connect.RetryMin);
            reader.Refuse(SettingKeys.LinkRetryMax, $"must not be below {SettingKeys.LinkRetryMin.Path}, which is {least}", least);
        }

        if (connect.Tls is { PeerName: null } && connect.To.FirstOrDefault(to => to.IsUnix) is { } unix)
        {
            reader.Refuse(
                SettingKeys.LinkTlsName, $"must be given, since links go to {unix}: a Unix socket has no name for a certificate",
                SettingKeys.LinkTlsName.Example);
        }

        return connect;
    }

    private static LinkTlsOptions? ReadLinkTls(SettingsReader reader)
    {
        LinkTlsOptions tls = new()
        {
            Authorities = reader.Read(SettingKeys.LinkTlsCa),
            PeerName = reader.IsGiven(SettingKeys.LinkTlsName) ? reader.Read(SettingKeys.LinkTlsName) : null,
            Own = LinkSettings.ReadOwn(reader, SettingKeys.LinkTlsCertificate, SettingKeys.LinkTlsKey, isRequired: false),
        };
        return reader.IsOn(SettingKeys.LinkTls) is true ? tls : null;
    }

    private static EcmTlsOptions? ReadTls(SettingsReader reader, bool isWanted)
    {
        IReadOnlyList<string> given = reader.Items(Certificates);
        EcmTlsOptions tls = new()
        {
            Server = new TlsServerOptions
            {
                Certificates = [.. (given.Count > 0 ? given : ["0"]).Select(item => ReadCertificate(reader, item, isWanted))],
                AllowTls12 = reader.Read(SettingKeys.TlsMinVersion),
                Tickets = reader.Read(SettingKeys.TlsTickets),
                Records = reader.Read(SettingKeys.TlsRecords),
            },
            HandshakeTimeout = reader.Read(SettingKeys.TlsHandshakeTimeout),
            MaxHandshakes = reader.Read(SettingKeys.TlsMaxHandshakes),
            ChannelBinding = reader.Read(SettingKeys.TlsChannelBinding),
        };
        return isWanted ? tls : null;
    }

    private static CertificateFiles ReadCertificate(SettingsReader reader, string item, bool isWanted)
    {
        SettingKey<string?> name = SettingKeys.TlsName.At(item);
        return new CertificateFiles(
            ReadFile(SettingKeys.TlsCertificate.At(item)),
            ReadFile(SettingKeys.TlsKey.At(item)),
            [.. reader.Items($"{Certificates}:{item}:Names").Select(position => reader.Read(name.At(position))).OfType<string>()]);

        string ReadFile(SettingKey<string?> file)
        {
            if (isWanted && !reader.IsGiven(file)) reader.Refuse(file, "must be given where clients speak TLS", file.Example);
            return reader.Read(file) ?? "";
        }
    }

    /// <summary>Section 3 of the link protocol: whoever can change what a link carries could undo what channel binding is for.</summary>
    private static void RefuseExposedBindings(SettingsReader reader, EcmOptions ecm)
    {
        if (ecm.Proxy != ProxyMode.V2)
            reader.Refuse(SettingKeys.TlsChannelBinding, $"wants {SettingKeys.Proxy.Path} to be v2, since it is sent in that header", "false");
        HostPort? outside = ecm.Connect.To.FirstOrDefault(to => to.IsElsewhere);
        if (outside is not null && ecm.Connect.Tls is null)
        {
            reader.Refuse(
                SettingKeys.TlsChannelBinding, $"wants {SettingKeys.LinkTls.Path}, since the link to {outside} leaves this machine", "false");
        }
    }

    /// <summary>Certificates that nobody is shown are a listener that was forgotten, which would take passwords in the clear.</summary>
    private static void RefuseUnusedTls(SettingsReader reader)
    {
        SettingKey first = SettingKeys.ClientTls.At("0");
        if (reader.Below("Ecm:Tls").Any()) reader.Refuse(first, "must be given, on one listener at least, where there is Ecm:Tls", first.Example);
    }
}
