using System.Net;
using Megaphone.Ecm;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Tls;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Configuration;

/// <summary>
/// The table of keys: format, default, bounds and meaning of each. Reading, checking, <c>--help</c> and the table in docs/operating.md are made
/// from it, in this order. A new key is one entry here, and the line that reads it into the options of its role.
/// </summary>
/// <remarks>Default values stand once, in the options records of Megaphone.Core. What must hold between keys stands where they are read.</remarks>
internal static class SettingKeys
{
    private const string ExampleCa = "/etc/megaphone/links-ca.pem";

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static readonly ClientListenerOptions ListenerDefaults = new() { Listen = new IPEndPoint(IPAddress.Loopback, 5222) };
    private static readonly WebOptions WebDefaults = new();
    private static readonly LinkConnectOptions ConnectDefaults = new() { To = [new HostPort("127.0.0.1", 6280)] };
    private static readonly EcmOptions EcmDefaults = new() { Clients = [ListenerDefaults], Connect = ConnectDefaults, Link = new LinkOptions() };
    private static readonly LimitOptions LimitDefaults = new();
    private static readonly EcmTlsOptions TlsDefaults = new() { Server = new TlsServerOptions { Certificates = [] } };
    private static readonly HubOptions HubDefaults = new() { Listen = new IPEndPoint(IPAddress.Loopback, 6280), Link = new LinkOptions() };

    private static readonly KeyTable Table = new();

    public static readonly SettingKey<bool> Ecm = Table.Section(
        "Ecm", true, "whether clients are held, and carried over links", shown: "true, unless Hub is on");
    public static readonly SettingKey<EndPoint> Listen = Table.Add(
        "Ecm:Clients:N:Listen", SettingFormats.ListenAny, ListenerDefaults.Listen,
        "where clients connect; an IPv6 address stands in brackets, `*` and `[::]` are all addresses of IPv4 and IPv6, and port 0 is any that is "
        + "free; `unix:` is a Unix socket, for a proxy on this machine");
    public static readonly SettingKey<UnixFileMode> SocketMode = Table.Add(
        "Ecm:Clients:N:SocketMode", SettingFormats.FileMode, ListenerDefaults.SocketMode,
        "mode of a Unix socket's file, which is the service's user's and group's: whoever may write to it may connect");
    public static readonly SettingKey<ClientFraming> Framing = Table.Add(
        "Ecm:Clients:N:Framing", SettingFormats.ClientFraming, ListenerDefaults.Framing,
        "what a packet carries: bytes as they come, or one piece of an XMPP stream, as ejabberd's module wants it, which clients send over TCP "
        + "(`stanza`) or over WebSocket (`web`); with `bytes` for one N, for all");
    public static readonly SettingKey<ClientTls> ClientTls = Table.Add(
        "Ecm:Clients:N:Tls", SettingFormats.ClientTls, ListenerDefaults.Tls,
        "how clients speak TLS with the ECM: not at all, after STARTTLS, or from the first byte on");
    public static readonly SettingKey<int> MaxStanzaBytes = Table.Size(
        "Ecm:Clients:N:MaxStanzaBytes", 10_000, 16 << 20, ListenerDefaults.MaxStanzaBytes,
        "longest stanza, with `stanza` and `web` framing; at most `Ecm:MaxPacketBytes` less 32, and a quarter of the ring");
    public static readonly SettingKey<IPNetwork?> ProxyFrom = Table.Add(
        "Ecm:Clients:N:ProxyFrom:M", SettingFormats.Proxies, default,
        "network of proxies, `unix` where `Listen` is a Unix socket: who connects from there must begin with a PROXY header, version 1 or 2, and is "
        + "whom that names",
        shown: "none");
    public static readonly SettingKey<long> IncompleteBytes = Table.LongSize(
        "Ecm:IncompleteBytes", 1 << 20, 1L << 50, EcmDefaults.IncompleteBytes,
        "memory of stanzas that have not arrived whole, all clients' together, with `stanza` and `web` framing");
    public static readonly SettingKey<string> WebPath = Table.Add(
        "Ecm:Clients:N:Web:Path", EcmFormats.UrlPath, WebDefaults.Path, "path of the WebSocket (RFC 7395), as clients write it");
    public static readonly SettingKey<string> WebOrigin = Table.Add(
        "Ecm:Clients:N:Web:Origins:M", SettingFormats.Origin, WebOptions.AnyOrigin,
        "origin whose pages may connect to the WebSocket, `*` for any; who sends none is no page");
    public static readonly SettingKey<TimeSpan> WebPing = Table.Seconds(
        "Ecm:Clients:N:Web:Ping", TimeSpan.Zero, Hour, WebDefaults.Ping,
        "silence after which a WebSocket client is sent a ping at the latest; 0: never");
    public static readonly SettingKey<IPEndPoint?> WebHttpTo = Table.Add(
        "Ecm:Clients:N:Web:HttpTo", SettingFormats.HttpTo, WebDefaults.HttpTo,
        "where all but WebSockets are relayed to, behind a PROXY header of version 2: ejabberd's `ejabberd_http` with `use_proxy_protocol: true`, "
        + "for BOSH and whatever else it serves; without it they are refused");
    public static readonly SettingKey<IPNetwork?> WebForwardedFrom = Table.Add(
        "Ecm:Clients:N:Web:ForwardedFrom:M", SettingFormats.Proxies, default,
        "network of proxies, or `unix`, that are believed when `X-Forwarded-For` and `X-Forwarded-Proto` say who the client of a WebSocket is",
        shown: "none");

    public static readonly SettingKey<string?> TlsCertificate = Table.File(
        "Ecm:Tls:Certificates:N:Certificate", "/etc/megaphone/example.org.pem",
        "PEM file with a certificate for clients, and behind it those of its authorities");
    public static readonly SettingKey<string?> TlsKey = Table.File(
        "Ecm:Tls:Certificates:N:Key", "/etc/megaphone/example.org.key", "PEM file with that certificate's key, not encrypted");
    public static readonly SettingKey<string?> TlsName = Table.Add(
        "Ecm:Tls:Certificates:N:Names:M", SettingFormats.Host, null, "host that this certificate must cover, or it is not used");
    public static readonly SettingKey<bool> TlsMinVersion = Table.Add(
        "Ecm:Tls:MinVersion", SettingFormats.TlsVersion, TlsDefaults.Server.AllowTls12, "lowest version of TLS that clients may speak");
    public static readonly SettingKey<bool> TlsTickets = Table.Add(
        "Ecm:Tls:Tickets", ValueFormats.Switch, TlsDefaults.Server.Tickets, "whether clients may resume TLS sessions");
    public static readonly SettingKey<RecordLayer> TlsRecords = Table.Add(
        "Ecm:Tls:Records", SettingFormats.Records, TlsDefaults.Server.Records,
        "who encrypts when a handshake is done: Megaphone, in 256 bytes for a client, or OpenSSL, in 14 KB; goes in 0.3");
    public static readonly SettingKey<TimeSpan> TlsHandshakeTimeout = Table.Duration(
        "Ecm:Tls:HandshakeTimeout", Moment, Hour, TlsDefaults.HandshakeTimeout,
        "time from the connection to the end of the handshake, STARTTLS included");
    public static readonly SettingKey<int> TlsMaxHandshakes = Table.Number(
        "Ecm:Tls:MaxHandshakes", 1, 65_536, TlsDefaults.MaxHandshakes, "clients on their way to TLS at the same time; more wait");

    public static readonly SettingKey<bool> TlsChannelBinding = Table.Add(
        "Ecm:Tls:ChannelBinding", ValueFormats.Switch, TlsDefaults.ChannelBinding,
        "whether the server is told what ties a login to the client's TLS; wants `Proxy` v2, and links on loopback or with TLS");

    public static readonly SettingKey<HostPort> LinkTo = Table.Add(
        "Ecm:Link:To", SettingFormats.LinkTarget, ConnectDefaults.To[0],
        "the hub, or ejabberd's listener for links; a name with several addresses is several servers; `unix:` is the Unix socket of a hub on this "
        + "machine; where a hub runs in this process, the default is that hub");
    public static readonly SettingKey<HostPort> LinkToEach = Table.Add(
        "Ecm:Link:To:N", SettingFormats.LinkTarget, ConnectDefaults.To[0],
        "the same where `To` is a list: new clients go to the server with the fewest", shown: "none");
    public static readonly SettingKey<int> LinkCount = Table.Number(
        "Ecm:Link:Count", 1, 64, ConnectDefaults.Count, "links held to each server; its sessions are spread over them", example: 2);
    public static readonly SettingKey<bool> LinkControl = Table.Add(
        "Ecm:Link:Control", ValueFormats.Switch, ConnectDefaults.Control, "false: the plain protocol, for a hub that knows no `hello`");
    public static readonly SettingKey<bool> LinkResume = Table.Add(
        "Ecm:Link:Resume", ValueFormats.Switch, ConnectDefaults.Resume,
        "whether the sessions of a link that breaks wait for it to come back; false: they end");
    public static readonly SettingKey<bool> LinkTls = Table.Section(
        "Ecm:Link:Tls", false, "whether links speak TLS; true trusts the authorities of the system");
    public static readonly SettingKey<string?> LinkTlsCa = Table.File(
        "Ecm:Link:Tls:Ca", ExampleCa, "PEM file with the authorities that the hub's certificate may come from", shown: "the system's");
    public static readonly SettingKey<string> LinkTlsName = Table.Add(
        "Ecm:Link:Tls:Name", ValueFormats.Name, "", "name, or address, that the hub's certificate must carry", "the host of To", "hub.example.org");
    public static readonly SettingKey<string?> LinkTlsCertificate = Table.File(
        "Ecm:Link:Tls:Certificate", "/etc/megaphone/edge.pem", "PEM file with the certificate that is shown to the hub");
    public static readonly SettingKey<string?> LinkTlsKey = Table.File(
        "Ecm:Link:Tls:Key", "/etc/megaphone/edge.key", "PEM file with the key of the certificate that is shown to the hub");
    public static readonly SettingKey<TimeSpan> LinkConnectTimeout = Table.Duration(
        "Ecm:Link:ConnectTimeout", Moment, Hour, ConnectDefaults.ConnectTimeout, "time for connecting, and again for TLS and the answer to `hello`");
    public static readonly SettingKey<TimeSpan> LinkRetryMin = Table.Duration(
        "Ecm:Link:RetryMin", Moment, Hour, ConnectDefaults.RetryMin, "wait before the second attempt to connect; it doubles each time, with jitter");
    public static readonly SettingKey<TimeSpan> LinkRetryMax = Table.Duration(
        "Ecm:Link:RetryMax", Moment, Hour, ConnectDefaults.RetryMax, "longest wait between two attempts");
    public static readonly LinkKeys EcmLink = new(Table, "Ecm", "Ecm:Link", "secret that is sent to the hub");

    public static readonly SettingKey<ProxyMode> Proxy = Table.Add(
        "Ecm:Proxy", EcmFormats.Proxy, EcmDefaults.Proxy, "PROXY header at the head of each session, which names the client's address");
    public static readonly SettingKey<int> MaxClients = Table.Number(
        "Ecm:MaxClients", 1, 16_000_000, EcmDefaults.MaxClients,
        "clients held at the same time; more are refused, or put out one who has not logged in", example: 20_000);
    public static readonly SettingKey<int> PerAddress = Table.Number(
        "Ecm:Limits:PerAddress", 0, 16_000_000, LimitDefaults.PerAddress, "connections of one address at the same time; 0: any number", example: 100);
    public static readonly SettingKey<int> PerAddressRate = Table.Number(
        "Ecm:Limits:PerAddressRate", 0, TokenBucket.MaxPerSecond, LimitDefaults.PerAddressRate,
        "connections that one address may bring in a second, as many of them at once; 0: any number", example: 10);
    public static readonly SettingKey<int> Ipv4Prefix = Table.Number(
        "Ecm:Limits:Ipv4Prefix", 8, 32, LimitDefaults.Ipv4Prefix, "bits of an IPv4 address that tell one from another");
    public static readonly SettingKey<int> Ipv6Prefix = Table.Number(
        "Ecm:Limits:Ipv6Prefix", 16, 64, LimitDefaults.Ipv6Prefix,
        "the same for IPv6: a host has all addresses of its network, which is a /64");
    public static readonly SettingKey<int> Ipv6Site = Table.Number(
        "Ecm:Limits:Ipv6Site", 0, 48, LimitDefaults.Ipv6Site,
        "bits that tell one IPv6 site from another, which may have 16 times as much as an address; 0: sites are not counted");
    public static readonly SettingKey<IPNetwork> Allow = Table.Add(
        "Ecm:Limits:Allow:N", SettingFormats.Network, default,
        "network from which clients may connect; with none in the list, from any", shown: "none");
    public static readonly SettingKey<IPNetwork> Deny = Table.Add(
        "Ecm:Limits:Deny:N", SettingFormats.Network, default, "network from which they may not, whether in `Allow` or not", shown: "none");
    public static readonly SettingKey<IPNetwork> Exempt = Table.Add(
        "Ecm:Limits:Exempt:N", SettingFormats.Network, LimitDefaults.Exempt[0],
        "network that `PerAddress` and `PerAddressRate` do not concern: load balancers, for example; `[]`: none");
    public static readonly SettingKey<TimeSpan> LoginTimeout = Table.Duration(
        "Ecm:Limits:LoginTimeout", TimeSpan.Zero, Day, LimitDefaults.LoginTimeout,
        "time to say something, and then to log in once it is the client's turn; with `bytes` framing to its first byte; 0: any time");
    public static readonly SettingKey<int> StanzaBytesBeforeLogin = Table.Size(
        "Ecm:Limits:BeforeLogin:StanzaBytes", 4096, 16 << 20, LimitDefaults.StanzaBytesBeforeLogin,
        "longest stanza before the login; `MaxStanzaBytes`, if that is less");
    public static readonly SettingKey<int> LoginsAtOnce = Table.Number(
        "Ecm:Logins:AtOnce", 0, 1_000_000, EcmDefaults.Logins.AtOnce,
        "clients that log in at each server at the same time, of one address a tenth; others wait for their turn. 0: nobody waits", example: 100);
    public static readonly SettingKey<TimeSpan> LoginsMaxWait = Table.Duration(
        "Ecm:Logins:MaxWait", TimeSpan.FromSeconds(1), Day, EcmDefaults.Logins.MaxWait,
        "how long a client waits for its turn before it is refused");
    public static readonly SettingKey<int> EcmReactors = Table.Number(
        "Ecm:Reactors", 1, 64, EcmDefaults.Reactors, "threads that read from clients", "one per two cores", example: 4);
    public static readonly SettingKey<int> Backlog = Table.Number(
        "Ecm:Backlog", 1, 65_535, EcmDefaults.Backlog,
        "connections that the kernel may hold ready for each listener; `net.core.somaxconn` is the ceiling");
    public static readonly SettingKey<TimeSpan> EcmHalfOpenTimeout = Table.Duration(
        "Ecm:HalfOpenTimeout", Second, Day, EcmDefaults.HalfOpenTimeout, "how long a session that ended on one side is kept");
    public static readonly SettingKey<int> CloseRate = Table.Number(
        "Ecm:CloseRate", 1, 1_000_000, EcmDefaults.CloseRate, "clients disconnected per second when their link is lost");
    public static readonly SettingKey<TimeSpan> DrainOver = Table.Duration(
        "Ecm:Drain:Over", TimeSpan.Zero, Day, EcmDefaults.DrainOver, "time in which a drain (SIGUSR1) ends the clients, evenly");
    public static readonly SettingKey<string?> SeeOtherHost = Table.Add(
        "Ecm:Drain:SeeOtherHost", SettingFormats.OtherHost, null,
        "where clients are told to go by a drain, with `stanza` framing; without it they are told `system-shutdown`");
    public static readonly SettingKey<string?> SeeOtherUri = Table.Add(
        "Ecm:Drain:SeeOtherUri", SettingFormats.OtherUri, null, "the same for WebSocket clients, with `web` framing");
    public static readonly ConnectionKeys EcmConnections = new(Table, "Ecm");

    public static readonly SettingKey<bool> Hub = Table.Section(
        "Hub", true, "whether links are taken, and their sessions connected to a backend", shown: "true, unless Ecm is on");
    public static readonly SettingKey<EndPoint> HubListen = Table.Add(
        "Hub:Listen", SettingFormats.ListenAny, HubDefaults.Listen,
        "where links connect; an address other than loopback wants `Secret`, `Tls:ClientCa` or `AllowOpenListener`", example: "127.0.0.1:6280");
    public static readonly SettingKey<UnixFileMode> HubSocketMode = Table.Add(
        "Hub:SocketMode", SettingFormats.FileMode, HubDefaults.SocketMode,
        "mode of a Unix socket's file, which is the service's user's and group's: whoever may write to it may connect");
    public static readonly SettingKey<HostPort?> HubBackend = Table.Add(
        "Hub:Backend", SettingFormats.Backend, null,
        "the server that sessions are connected to; a name with several addresses is several servers; `echo:` is built in");
    public static readonly SettingKey<HostPort?> HubBackendEach = Table.Add(
        "Hub:Backend:N", SettingFormats.TcpBackend, null,
        "the same where `Backend` is a list: each session goes to the one with the fewest, and to the next if that refuses", shown: "none");
    public static readonly LinkKeys HubLink = new(Table, "Hub", "Hub", "secret that is wanted from every link");
    public static readonly SettingKey<bool> HubTls = Table.Section(
        "Hub:Tls", false, "whether links are taken over TLS only, which takes a certificate and its key");
    public static readonly SettingKey<string?> HubTlsCertificate = Table.File(
        "Hub:Tls:Certificate", "/etc/megaphone/hub.pem", "PEM file with the certificate that is shown to ECMs");
    public static readonly SettingKey<string?> HubTlsKey = Table.File(
        "Hub:Tls:Key", "/etc/megaphone/hub.key", "PEM file with the key of the certificate that is shown to ECMs");
    public static readonly SettingKey<string?> HubTlsClientCa = Table.File(
        "Hub:Tls:ClientCa", ExampleCa,
        "PEM file with the authorities that ECMs' certificates must come from; without it none is wanted");
    public static readonly SettingKey<bool> AllowOpenListener = Table.Add(
        "Hub:AllowOpenListener", ValueFormats.Switch, false, "true: anybody who reaches the listener may open sessions");
    public static readonly SettingKey<int> MaxLinks = Table.Number(
        "Hub:MaxLinks", 1, 4096, HubDefaults.MaxLinks, "links held; more are closed, those first that have sent nothing", example: 16);
    public static readonly SettingKey<TimeSpan> ResumeTimeout = Table.Duration(
        "Hub:ResumeTimeout", TimeSpan.Zero, Hour, HubDefaults.ResumeTimeout,
        "how long sessions wait for a link that has broken, at least four times `Service:KeepAlive`, to which the default grows; 0: not at all");
    public static readonly SettingKey<int> MaxSessions = Table.Number(
        "Hub:MaxSessions", 1, 16_000_000, HubDefaults.MaxSessions, "sessions held at the same time; more are reset", example: 20_000);
    public static readonly SettingKey<int> HubReactors = Table.Number(
        "Hub:Reactors", 1, 64, HubDefaults.Reactors, "threads that read from backends", "one per two cores", example: 4);
    public static readonly SettingKey<TimeSpan> HubConnectTimeout = Table.Duration(
        "Hub:ConnectTimeout", Moment, Hour, HubDefaults.ConnectTimeout, "time for connecting to each address of the backend");
    public static readonly SettingKey<TimeSpan> HubHalfOpenTimeout = Table.Duration(
        "Hub:HalfOpenTimeout", Second, Day, HubDefaults.HalfOpenTimeout, EcmHalfOpenTimeout.Meaning);
    public static readonly SettingKey<TimeSpan> IdleTimeout = Table.Add(
        "Hub:IdleTimeout", ValueFormats.Duration(Second, 365 * Day, Hour), Timeout.InfiniteTimeSpan,
        "ends sessions in which neither side says anything for so long", shown: "none");
    public static readonly ConnectionKeys HubConnections = new(Table, "Hub");

    public static readonly SettingKey<bool> Admin = Table.Section("Admin", true, "whether health checks and metrics are served");
    public static readonly SettingKey<IPEndPoint> AdminListen = Table.Add(
        "Admin:Listen", SettingFormats.Listen, new IPEndPoint(IPAddress.Loopback, 6281), "where they are served, over plain HTTP");
    public static readonly SettingKey<string?> AdminSocket = Table.File(
        "Admin:Socket", "/run/megaphone/admin.sock",
        "Unix socket for operators' commands, `megaphone reload` among them: whoever may write to its file may use them",
        shown: "admin.sock in the unit's folder");

    public static readonly SettingKey<TimeSpan> StopTimeout = Table.Duration(
        "Service:StopTimeout", TimeSpan.Zero, Hour, TimeSpan.FromSeconds(10),
        "time for a graceful stop; `TimeoutStopSec` of the unit (20 s) has to be longer");
    public static readonly SettingKey<TimeSpan> KeepAlive = Table.Seconds(
        "Service:KeepAlive", Second, Hour, new LinkOptions().KeepAlive,
        "silence after which a link is asked for a sign of life; after three times that it is dead");

    public static readonly SettingKey<LogFormat> LogFormat = Table.Add(
        "Logging:Format", SettingFormats.LogFormat, Megaphone.Configuration.LogFormat.Text,
        "how a line of the log is written: with time and level, with the priority that systemd's journal wants, or as a JSON object; "
        + "elsewhere `text`",
        shown: "systemd in the journal", example: "json");
    public static readonly SettingKey<LogLevel> DefaultLogLevel = Table.Add(
        "Logging:LogLevel:Default", SettingFormats.Level, LogLevel.Information, "least level that is logged; `Debug` tells of each session");
    public static readonly SettingKey<LogLevel> LogLevelOf = Table.Add(
        "Logging:LogLevel:CATEGORY", SettingFormats.Level, LogLevel.Information,
        "the same for the categories that begin so", shown: "Warning for Microsoft");

    /// <summary>Every key, in the order of the sections.</summary>
    public static IReadOnlyList<SettingKey> All => Table.Keys;

    /// <summary>Keys of earlier versions, and what holds in their place.</summary>
    public static IReadOnlyDictionary<string, string> Gone { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
    {
        ["Service:Cores"] = "which cores it runs on is left to the system",
    };
}
