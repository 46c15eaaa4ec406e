using System.Globalization;
using System.Net;
using System.Numerics;
using Megaphone.Ecm;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Values;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Megaphone.Configuration;

/// <summary>Every key there is: its format, its default, where it goes, and what must hold between keys.</summary>
/// <remarks>
/// All sections are read, also those of a role that does not run: their keys exist all the same, and a wrong value in
/// them is wrong. Defaults stand once, in the options records.
/// </remarks>
internal sealed partial class SettingsSchema
{
    private const string Clients = "Ecm:Clients";
    private const string LogLevelSection = "Logging:LogLevel";
    private const int MostListeners = 256;
    private const int LargestBuffer = 512 << 20;
    private const int SmallestRing = 64 << 10;
    private const int LargestRing = 1 << 30;

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>The kernel's own ceiling for TCP_KEEPIDLE and TCP_KEEPINTVL.</summary>
    private static readonly TimeSpan LongestProbeTime = TimeSpan.FromSeconds(32_767);

    private static readonly HostPort DefaultLinkTarget = new("127.0.0.1", 6280);
    private static readonly IPEndPoint DefaultClients = new(IPAddress.Loopback, 5222);
    private static readonly IPEndPoint DefaultHub = new(IPAddress.Loopback, 6280);
    private static readonly IPEndPoint DefaultAdmin = new(IPAddress.Loopback, 6281);

    private readonly SettingsReader _reader;

    private SettingsSchema(SettingsReader reader) => _reader = reader;

    /// <summary>Every key, in the order of the sections.</summary>
    public static IReadOnlyList<string> Keys
    {
        get
        {
            SettingsReader reader = new(new ConfigurationBuilder().Build(), []);
            new SettingsSchema(reader).ReadAll();
            return reader.Keys;
        }
    }

    /// <summary>
    /// Reads everything. What is wrong is added to <paramref name="problems"/>; the result only counts if nothing was.
    /// </summary>
    public static Settings Read(IConfigurationRoot configuration, List<Problem> problems)
    {
        SettingsReader reader = new(configuration, problems);
        Settings settings = new SettingsSchema(reader).ReadAll();
        reader.RefuseUnknown();
        return settings;
    }

    private Settings ReadAll()
    {
        bool? hasEcm = _reader.Has("Ecm");
        bool? hasHub = _reader.Has("Hub");
        bool neither = hasEcm is null && hasHub is null;
        bool runsEcm = neither || hasEcm is true;
        bool runsHub = neither || hasHub is true;
        bool runsAdmin = _reader.Has("Admin") ?? true;

        EcmOptions ecm = ReadEcm(runsEcm);
        HubOptions hub = ReadHub(runsHub);
        IPEndPoint admin = _reader.Read("Admin:Listen", SettingFormats.Listen, DefaultAdmin);
        TimeSpan stopTimeout = Duration("Service:StopTimeout", TimeSpan.Zero, Hour, TimeSpan.FromSeconds(10));
        TimeSpan keepAlive = Seconds("Service:KeepAlive", Second, Hour, new LinkOptions().KeepAlive);
        _reader.RefuseGone("Service:Cores", "which cores it runs on is left to the system");
        IReadOnlyDictionary<string, LogLevel> logLevels = ReadLogLevels();

        bool linksToOwnHub = runsEcm && runsHub && LinksToHub(ecm, hub);
        if (runsEcm && !linksToOwnHub && ecm.Connect.To.Port == 0)
        {
            _reader.Refuse(
                "Ecm:Link:To",
                "must name a port from 1 to 65535; 0 only repeats a Hub:Listen in the same configuration",
                ValueFormats.Target.Example);
        }

        // A hub in the same process wants the secret that it was given; to write it twice would only allow two.
        string? ecmSecret = linksToOwnHub ? ecm.Link.Secret ?? hub.Link.Secret : ecm.Link.Secret;
        if (ecmSecret is not null && !ecm.Connect.Control)
            _reader.Refuse("Ecm:Link:Control", "must be true when there is a secret: it is said in the hello", "true");

        if (linksToOwnHub && (ecm.Connect.Tls is null) != (hub.Tls is null))
        {
            (string missing, string there, string example) = hub.Tls is null
                ? (HubTls, EcmLinkTls, $$"""{ "Certificate": "{{ExampleHubCertificate}}", "Key": "{{ExampleHubKey}}" }""")
                : (EcmLinkTls, HubTls, $$"""{ "Ca": "{{ExampleCa}}" }""");
            _reader.Refuse(missing, $"must be there when {there} is: the link goes to the hub of this process", example);
        }

        Settings settings = new()
        {
            Ecm = runsEcm ? ecm with { Link = ecm.Link with { Secret = ecmSecret, KeepAlive = keepAlive } } : null,
            Hub = runsHub ? hub with { Link = hub.Link with { KeepAlive = keepAlive } } : null,
            Admin = runsAdmin ? new AdminOptions { Listen = admin } : null,
            LinksToOwnHub = linksToOwnHub,
            MaxClientsGiven = _reader.IsGiven("Ecm:MaxClients"),
            MaxSessionsGiven = _reader.IsGiven("Hub:MaxSessions"),
            StopTimeout = stopTimeout,
            LogLevels = logLevels,
        };
        RefuseOverlaps(settings);
        return settings;
    }

    private EcmOptions ReadEcm(bool runs)
    {
        EcmOptions defaults = new()
        {
            Clients = [new ClientListenerOptions { Listen = DefaultClients }],
            Connect = new LinkConnectOptions { To = DefaultLinkTarget },
            Link = new LinkOptions(),
        };
        List<ClientListenerOptions> clients = ReadClients(out LinkFraming framing);
        LinkConnectOptions connect = ReadConnect(defaults.Connect);
        LinkOptions link = ReadLink(
            name: "Ecm:Link:Name",
            secret: "Ecm:Link:Secret",
            ring: "Ecm:Link:RingBytes",
            maxPacket: "Ecm:MaxPacketBytes",
            socketBuffer: "Ecm:Link:SocketBufferBytes");
        long incompleteBytes = _reader.Read(
            "Ecm:IncompleteBytes",
            ValueFormats.LongNumber(1 << 20, 1L << 50, defaults.IncompleteBytes),
            defaults.IncompleteBytes);
        if (framing == LinkFraming.Stanza) RefuseTooLongStanzas(clients, link, incompleteBytes);
        bool speaksTls = clients.Any(client => client.Tls != ClientTls.None);
        if (runs) RequireTlsListener(speaksTls);
        return new EcmOptions
        {
            Clients = clients,
            Connect = connect,
            Link = link with { Framing = framing },
            Proxy = _reader.Read("Ecm:Proxy", SettingFormats.Proxy, defaults.Proxy),
            Tls = ReadTls(runs && speaksTls),
            MaxClients = Number("Ecm:MaxClients", 1, 16_000_000, 20_000, defaults.MaxClients),
            Reactors = Number("Ecm:Reactors", 1, 64, 4, defaults.Reactors),
            Backlog = Number("Ecm:Backlog", 1, 65_535, 4096, defaults.Backlog),
            HalfOpenTimeout = Duration("Ecm:HalfOpenTimeout", Second, Day, defaults.HalfOpenTimeout),
            CloseRate = Number("Ecm:CloseRate", 1, 1_000_000, 5_000, defaults.CloseRate),
            Buffers = ReadBuffers("Ecm:Buffers"),
            IncompleteBytes = incompleteBytes,
            Liveness = ReadLiveness("Ecm:TcpKeepAlive"),
        };
    }

    private List<ClientListenerOptions> ReadClients(out LinkFraming framing)
    {
        List<string> items = [.. _reader.Below(Clients).Where(name => name.All(char.IsAsciiDigit))];
        bool listed = items.Count > 0;
        if (!listed)
        {
            items.Add("0");
            if (_reader.IsGiven(Clients))
                _reader.Refuse(Clients, "must list at least one address", """[ { "Listen": "0.0.0.0:5222" } ]""");
        }

        if (items.Count > MostListeners)
            _reader.Refuse(Clients, $"lists {items.Count} addresses, and {MostListeners} are possible", "fewer, or one on 0.0.0.0 for all");

        List<ClientListenerOptions> clients = [];
        framing = LinkFraming.Bytes;
        foreach (string item in items)
        {
            string key = $"{Clients}:{item}";
            IPEndPoint listen = _reader.Read($"{key}:Listen", SettingFormats.Listen, DefaultClients);
            if (listed && !_reader.IsGiven($"{key}:Listen"))
                _reader.Refuse($"{key}:Listen", "must be given", "0.0.0.0:5222");
            LinkFraming own = _reader.Read($"{key}:Framing", SettingFormats.Framing, LinkFraming.Bytes);
            if (clients.Count == 0) framing = own;
            if (own != framing)
            {
                _reader.Refuse(
                    $"{key}:Framing",
                    $"must be {ControlNames.Of(framing)}, as for {Clients}:{items[0]}: all clients share the links, and a link has one framing",
                    ControlNames.Of(framing));
            }

            ClientTls tls = _reader.Read($"{key}:Tls", SettingFormats.ClientTls, ClientTls.None);

            // Concerns stanza framing only; RFC 6120, section 13.12, has the lower bound.
            int maxStanza = Number($"{key}:MaxStanzaBytes", 10_000, 1 << 24, 262_144, 262_144);
            clients.Add(new ClientListenerOptions { Listen = listen, Tls = tls, MaxStanzaBytes = maxStanza });
        }

        return clients;
    }

    private void RefuseTooLongStanzas(List<ClientListenerOptions> clients, LinkOptions link, long incompleteBytes)
    {
        int longest = clients.Max(client => client.MaxStanzaBytes);
        if (incompleteBytes < longest)
            _reader.Refuse(
                "Ecm:IncompleteBytes",
                $"must not be below the longest {Clients}:N:MaxStanzaBytes, which is {longest} (this is {incompleteBytes})",
                longest.ToString(CultureInfo.InvariantCulture));

        int largest = StanzaFraming.LargestFor(link);
        for (int i = 0; i < clients.Count; i++)
        {
            if (clients[i].MaxStanzaBytes <= largest) continue;
            _reader.Refuse(
                $"{Clients}:{i}:MaxStanzaBytes",
                $"must be at most {largest}: a stanza is one packet, so Ecm:MaxPacketBytes, which is {link.MaxPacketBytes}, "
                + $"must be {PacketHeader.Size} more, and Ecm:Link:RingBytes, which is {link.RingBytes}, four times as much "
                + $"(this is {clients[i].MaxStanzaBytes})",
                largest.ToString(CultureInfo.InvariantCulture));
        }
    }

    private LinkConnectOptions ReadConnect(LinkConnectOptions defaults)
    {
        HostPort to = _reader.Read("Ecm:Link:To", ValueFormats.Target, defaults.To);
        LinkConnectOptions connect = new()
        {
            To = to,
            Tls = ReadConnectTls(to),
            Count = Number("Ecm:Link:Count", 1, 64, 2, defaults.Count),
            Control = _reader.Read("Ecm:Link:Control", ValueFormats.Switch, defaults.Control),
            ConnectTimeout = Duration("Ecm:Link:ConnectTimeout", Moment, Hour, defaults.ConnectTimeout),
            RetryMin = Duration("Ecm:Link:RetryMin", Moment, Hour, defaults.RetryMin),
            RetryMax = Duration("Ecm:Link:RetryMax", Moment, Hour, defaults.RetryMax),
        };
        if (connect.RetryMin > connect.RetryMax)
            _reader.Refuse(
                "Ecm:Link:RetryMax",
                $"must not be below Ecm:Link:RetryMin, which is {connect.RetryMin:c}",
                connect.RetryMin.ToString("c", CultureInfo.InvariantCulture));
        return connect;
    }

    private HubOptions ReadHub(bool runs)
    {
        HubOptions defaults = new() { Listen = DefaultHub, Link = new LinkOptions() };
        IPEndPoint listen = _reader.Read("Hub:Listen", SettingFormats.Listen, defaults.Listen);
        HostPort? backend = _reader.Read("Hub:Backend", SettingFormats.Backend, defaults.Backend);
        LinkOptions link = ReadLink(
            name: "Hub:Name",
            secret: "Hub:Secret",
            ring: "Hub:RingBytes",
            maxPacket: "Hub:MaxPacketBytes",
            socketBuffer: "Hub:SocketBufferBytes");
        TimeSpan idleTimeout = _reader.Read(
            "Hub:IdleTimeout",
            ValueFormats.Duration(Second, TimeSpan.FromDays(365), Hour),
            Timeout.InfiniteTimeSpan);

        LinkTlsOptions? tls = ReadHubTls();
        bool open = _reader.Read("Hub:AllowOpenListener", ValueFormats.Switch, false);
        if (runs && !open && !_reader.IsGiven("Hub:Secret") && tls?.Authorities is null && !IPAddress.IsLoopback(listen.Address))
        {
            _reader.Refuse(
                "Hub:Listen",
                "is reachable from outside, where anybody could open sessions: write a Hub:Secret and the same "
                + "Ecm:Link:Secret at the other end, or Hub:Tls with a ClientCa, or \"AllowOpenListener\": true, or a loopback address",
                "127.0.0.1:6280");
        }

        return new HubOptions
        {
            Listen = listen,
            Backend = backend,
            Link = link,
            Tls = tls,
            MaxLinks = Number("Hub:MaxLinks", 1, 4096, 16, defaults.MaxLinks),
            MaxSessions = Number("Hub:MaxSessions", 1, 16_000_000, 20_000, defaults.MaxSessions),
            Reactors = Number("Hub:Reactors", 1, 64, 4, defaults.Reactors),
            ConnectTimeout = Duration("Hub:ConnectTimeout", Moment, Hour, defaults.ConnectTimeout),
            HalfOpenTimeout = Duration("Hub:HalfOpenTimeout", Second, Day, defaults.HalfOpenTimeout),
            IdleTimeout = idleTimeout == Timeout.InfiniteTimeSpan ? null : idleTimeout,
            Buffers = ReadBuffers("Hub:Buffers"),
            Liveness = ReadLiveness("Hub:TcpKeepAlive"),
        };
    }

    private LinkOptions ReadLink(string name, string secret, string ring, string maxPacket, string socketBuffer)
    {
        LinkOptions defaults = new();
        // Half of the largest ring: a ring takes two of the longest packets.
        int maxPacketBytes = Number(maxPacket, 32, LargestRing / 2, 1 << 20, defaults.MaxPacketBytes);
        int smallestRing = (int)BitOperations.RoundUpToPowerOf2((uint)maxPacketBytes * 2);
        int ringBytes = _reader.Read(
            ring,
            ValueFormats.Number(SmallestRing, LargestRing, 4 << 20),
            Math.Max(defaults.RingBytes, smallestRing));
        if (!BitOperations.IsPow2(ringBytes) || ringBytes < smallestRing)
        {
            _reader.Refuse(
                ring,
                $"must be a power of two and at least twice {maxPacket}, which is {maxPacketBytes}",
                Math.Max(defaults.RingBytes, smallestRing).ToString(CultureInfo.InvariantCulture));
        }

        return new LinkOptions
        {
            Name = _reader.Read(name, ValueFormats.Name, defaults.Name),
            Secret = _reader.Read(secret, ValueFormats.Secret, defaults.Secret),
            MaxPacketBytes = maxPacketBytes,
            RingBytes = ringBytes,
            SocketBufferBytes = Number(socketBuffer, 0, 1 << 30, 1 << 20, defaults.SocketBufferBytes),
        };
    }

    private BufferOptions ReadBuffers(string section)
    {
        BufferOptions defaults = new();
        string low = $"{section}:LowBytes", high = $"{section}:HighBytes";
        string limit = $"{section}:LimitBytes", total = $"{section}:TotalBytes";
        BufferOptions buffers = new()
        {
            LowBytes = Number(low, 0, LargestBuffer, defaults.LowBytes, defaults.LowBytes),
            HighBytes = Number(high, 1, LargestBuffer, defaults.HighBytes, defaults.HighBytes),
            LimitBytes = Number(limit, 1, LargestBuffer, defaults.LimitBytes, defaults.LimitBytes),
            TotalBytes = _reader.Read(
                total,
                ValueFormats.LongNumber(1, 1L << 50, defaults.TotalBytes),
                defaults.TotalBytes),
        };

        if (buffers.LowBytes >= buffers.HighBytes)
            _reader.Refuse(
                low,
                $"must be below {high}, which is {buffers.HighBytes} (this is {buffers.LowBytes})",
                (buffers.HighBytes / 4).ToString(CultureInfo.InvariantCulture));
        if (buffers.LimitBytes < buffers.HighBytes)
            _reader.Refuse(
                limit,
                $"must not be below {high}, which is {buffers.HighBytes} (this is {buffers.LimitBytes})",
                buffers.HighBytes.ToString(CultureInfo.InvariantCulture));
        if (buffers.TotalBytes < buffers.LimitBytes)
            _reader.Refuse(
                total,
                $"must not be below {limit}, which is {buffers.LimitBytes} (this is {buffers.TotalBytes})",
                buffers.LimitBytes.ToString(CultureInfo.InvariantCulture));
        return buffers;
    }

    private TcpLivenessOptions ReadLiveness(string section)
    {
        TcpLivenessOptions defaults = new();
        string userTimeout = $"{section}:UserTimeout";
        TcpLivenessOptions liveness = new()
        {
            Idle = Seconds($"{section}:Idle", Second, LongestProbeTime, defaults.Idle),
            Interval = Seconds($"{section}:Interval", Second, LongestProbeTime, defaults.Interval),
            Probes = Number($"{section}:Probes", 1, 127, defaults.Probes, defaults.Probes),
            UserTimeout = Duration(userTimeout, TimeSpan.Zero, Day, defaults.UserTimeout),
        };

        if (liveness.UserTimeout > TimeSpan.Zero && liveness.UserTimeout < liveness.UntilGone())
            _reader.Refuse(
                userTimeout,
                $"must be 0, or not below Idle and {liveness.Probes} times Interval, which is {liveness.UntilGone():c} (this is {liveness.UserTimeout:c}): "
                    + "one probe that is lost would end a connection",
                liveness.UntilGone().ToString("c", CultureInfo.InvariantCulture));
        return liveness;
    }

    private Dictionary<string, LogLevel> ReadLogLevels()
    {
        // What the framework says of itself matters when something is wrong, not at every start.
        Dictionary<string, LogLevel> levels = new(StringComparer.OrdinalIgnoreCase)
        {
            ["Default"] = LogLevel.Information,
            ["Microsoft"] = LogLevel.Warning,
        };
        IEnumerable<string> given = _reader.Below(LogLevelSection);
        foreach (string category in levels.Keys.Union(given, StringComparer.OrdinalIgnoreCase).ToList())
        {
            LogLevel fallback = levels.GetValueOrDefault(category, LogLevel.Information);
            levels[category] = _reader.Read($"{LogLevelSection}:{category}", SettingFormats.Level, fallback);
        }

        return levels;
    }

    private int Number(string key, int least, int most, int example, int fallback) =>
        _reader.Read(key, ValueFormats.Number(least, most, example), fallback);

    private TimeSpan Duration(string key, TimeSpan least, TimeSpan most, TimeSpan fallback) =>
        _reader.Read(key, ValueFormats.Duration(least, most, fallback), fallback);

    private TimeSpan Seconds(string key, TimeSpan least, TimeSpan most, TimeSpan fallback) =>
        _reader.Read(key, ValueFormats.Seconds(least, most, fallback), fallback);

    /// <summary>Port 0 in both places means one and the same port, whichever it will be.</summary>
    private bool LinksToHub(EcmOptions ecm, HubOptions hub) =>
        !_reader.IsGiven("Ecm:Link:To")
        || (ecm.Connect.To.Port == 0 && hub.Listen.Port == 0
            && SettingFormats.Listen.Read(ecm.Connect.To.ToString(), out IPEndPoint to) is null && to.Equals(hub.Listen));

    /// <summary>The kernel would refuse the second one, when everything else has started.</summary>
    private void RefuseOverlaps(Settings settings)
    {
        List<(string Key, IPEndPoint Address)> earlier = [];
        foreach ((string key, IPEndPoint address) in settings.Listeners.Where(listener => _reader.IsMeant(listener.Key)))
        {
            (string Key, IPEndPoint Address) other = earlier.Find(one => ListenAddress.Overlap(one.Address, address));
            earlier.Add((key, address));
            if (other.Key is null) continue;

            // A key has one line: if something else is wrong with this one, the other one tells it.
            if (_reader.IsRefused(key)) RefuseOverlap(other.Key, other.Address, key, address);
            else RefuseOverlap(key, address, other.Key, other.Address);
        }

        void RefuseOverlap(string key, IPEndPoint address, string other, IPEndPoint otherAddress) => _reader.Refuse(
            key,
            $"overlaps {other}, which is {otherAddress} (this is {address}): only one of them can be listened on",
            $"{FreeFor(settings, address)}, or one of the two alone");
    }

    /// <summary>The next port on which an address is nobody else's.</summary>
    private static IPEndPoint FreeFor(Settings settings, IPEndPoint address)
    {
        IPEndPoint free = new(address.Address, address.Port);
        while (settings.Listeners.Any(listener => ListenAddress.Overlap(listener.Address, free)))
            free.Port = free.Port == IPEndPoint.MaxPort ? 1024 : free.Port + 1;
        return free;
    }
}
