using System.Net;
using System.Net.Sockets;
using Megaphone.Ecm;
using Megaphone.Tls;
using Megaphone.Unix;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Configuration;

/// <summary>
/// The formats that only settings of the service are written in; <see cref="ValueFormats"/> and <see cref="EcmFormats"/> have the others.
/// </summary>
internal static class SettingFormats
{
    /// <summary>By which a list of proxies has those who connect over a Unix socket.</summary>
    public const string Unix = "unix";

    /// <summary>Whether a section that can be switched is on.</summary>
    public static ValueFormat<bool> Section { get; } = ValueFormats.Switch with { Read = ReadSection, Form = "true, false, or a section" };

    /// <summary>An address to listen on.</summary>
    public static ValueFormat<IPEndPoint> Listen { get; } = new(ReadListen, "127.0.0.1:5222, [::1]:5222 or *:5222") { Form = "ADDRESS:PORT" };

    /// <summary>An address to listen on, or the path of a Unix socket.</summary>
    public static ValueFormat<EndPoint> ListenAny { get; } = new(
        ReadListenAny, "127.0.0.1:5222, [::1]:5222, *:5222 or unix:/run/megaphone/clients.sock")
    {
        Form = "ADDRESS:PORT or unix:/PATH",
    };

    /// <summary>Where links go. Port 0 is accepted here; whether it is valid depends on other keys.</summary>
    public static ValueFormat<HostPort> LinkTarget { get; } = new(ReadLinkTarget, ValueFormats.Target.Example)
    {
        Form = $"{ValueFormats.Target.Form} or unix:/PATH",
    };

    /// <summary>The mode of a file, as chmod(1) takes it.</summary>
    public static ValueFormat<UnixFileMode> FileMode { get; } = new(ReadFileMode, "0666")
    {
        Form = "0000 to 0777",
        Write = value => "0" + Convert.ToString((int)value, 8),
    };

    /// <summary>A network of proxies, or null: whoever connects over a Unix socket.</summary>
    public static ValueFormat<IPNetwork?> Proxies { get; } = new(ReadProxies, "10.0.0.0/8 or unix") { Form = "ADDRESS/BITS or unix" };

    /// <summary>Where sessions are connected to; null for the built-in echo.</summary>
    public static ValueFormat<HostPort?> Backend { get; } = new(ReadBackend, "tcp://127.0.0.1:5222 or echo:")
    {
        Form = "tcp://HOST:PORT or echo:",
        Write = value => value is null ? "echo:" : $"tcp://{value}",
    };

    /// <summary>One of several servers that sessions are connected to.</summary>
    public static ValueFormat<HostPort?> TcpBackend { get; } = new(ReadTcpBackend, "tcp://127.0.0.1:5222") { Form = "tcp://HOST:PORT" };

    /// <summary>Whether, and how, clients speak TLS.</summary>
    public static ValueFormat<ClientTls> ClientTls { get; } = ValueFormats.Choice(
        ("none", Ecm.ClientTls.None), ("starttls", Ecm.ClientTls.StartTls), ("direct", Ecm.ClientTls.Direct)) with
    {
        Example = "starttls",
    };

    /// <summary>What clients speak, as far as the ECM needs to know.</summary>
    public static ValueFormat<ClientFraming> ClientFraming { get; } = ValueFormats.Choice(
        ("bytes", Ecm.ClientFraming.Bytes), ("stanza", Ecm.ClientFraming.Stanza), ("web", Ecm.ClientFraming.Web)) with
    {
        Example = "stanza",
    };

    /// <summary>The origin of a page, or any.</summary>
    public static ValueFormat<string> Origin { get; } = new(ReadOrigin, "https://example.org") { Form = "* or SCHEME://HOST[:PORT]" };

    /// <summary>The address of a server for HTTP.</summary>
    public static ValueFormat<IPEndPoint?> HttpTo { get; } = new(ReadHttpTo, "127.0.0.1:5280") { Form = "ADDRESS:PORT" };

    /// <summary>A network of addresses.</summary>
    public static ValueFormat<IPNetwork> Network { get; } = new(ReadNetwork, "10.0.0.0/8 or 2001:db8::1/128") { Form = "ADDRESS/BITS" };

    /// <summary>The lowest version of TLS that is taken; true for 1.2.</summary>
    public static ValueFormat<bool> TlsVersion { get; } = ValueFormats.Choice(("1.2", true), ("1.3", false));

    /// <summary>Who opens and seals records.</summary>
    public static ValueFormat<RecordLayer> Records { get; } =
        ValueFormats.Choice(("own", RecordLayer.Own), ("openssl", RecordLayer.OpenSsl)) with
        {
            Example = "own",
        };

    /// <summary>A host that a certificate is for, or a whole level of them; normalized.</summary>
    public static ValueFormat<string?> Host { get; } = new(ReadHost, "example.org or *.example.org") { Form = "host" };

    /// <summary>Another host for clients, with or without a port.</summary>
    public static ValueFormat<string?> OtherHost { get; } = new(ReadOtherHost, "xmpp2.example.org or xmpp2.example.org:5222")
    {
        Form = "HOST or HOST:PORT",
    };

    /// <summary>The address of a WebSocket.</summary>
    public static ValueFormat<string?> OtherUri { get; } = new(ReadOtherUri, "wss://xmpp2.example.org/ws") { Form = "WebSocket's URI" };

    /// <summary>How a line of the log is written.</summary>
    public static ValueFormat<LogFormat> LogFormat { get; } = ValueFormats.Choice(
        ("text", Configuration.LogFormat.Text), ("systemd", Configuration.LogFormat.Systemd), ("json", Configuration.LogFormat.Json));

    /// <summary>The path of a file.</summary>
    public static ValueFormat<string?> File { get; } = new(ReadFile, "/etc/megaphone/example.org.pem") { Form = "full path" };

    /// <summary>A level of the log.</summary>
    public static ValueFormat<LogLevel> Level { get; } = new(ReadLevel, "Information")
    {
        Form = "Trace to Critical, or None",
    };

    /// <summary>Listeners on <c>[::]</c> take IPv4 as well. A kernel without IPv6 has only that.</summary>
    private static IPAddress AllAddresses => Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any;

    private static string? ReadSection(string text, out bool value) =>
        bool.TryParse(text, out value) ? null : "must be true, false, or a section with keys";

    private static string? ReadListen(string text, out IPEndPoint value)
    {
        value = new IPEndPoint(IPAddress.Loopback, 0);
        if (!HostPort.TryParse(text, out HostPort? given))
            return "must be ADDRESS:PORT, an IPv6 address in brackets, * for all of IPv4 and IPv6, the port from 0 to 65535";

        IPAddress? address = given!.IsAll ? AllAddresses
            : given.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? IPAddress.Loopback
            : given.Address;
        if (address is null)
            return "must be an address of this machine, not a name";

        value = new IPEndPoint(address, given.Port);
        return null;
    }

    private static string? ReadListenAny(string text, out EndPoint value)
    {
        if (text.StartsWith(UnixEndPoint.Prefix, StringComparison.Ordinal))
        {
            UnixEndPoint? path = UnixEndPoint.Parse(text);
            value = path ?? (EndPoint)new IPEndPoint(IPAddress.Loopback, 0);
            return path is null ? NoPath : null;
        }

        string? wrong = ReadListen(text, out IPEndPoint address);
        value = address;
        return wrong is null || text.Contains(':') ? wrong : $"{wrong}; or {UnixEndPoint.Prefix}/PATH";
    }

    private static string NoPath => $"must be {UnixEndPoint.Prefix} and the full path of a socket, of at most {UnixEndPoint.LongestPath} bytes";

    private static string? ReadLinkTarget(string text, out HostPort value)
    {
        if (!text.StartsWith(UnixEndPoint.Prefix, StringComparison.Ordinal)) return ValueFormats.Target.Read(text, out value);
        UnixEndPoint? path = UnixEndPoint.Parse(text);
        value = new HostPort(path?.ToString() ?? text, 0);
        return path is null ? NoPath : null;
    }

    private static string? ReadFileMode(string text, out UnixFileMode value)
    {
        bool isMode = text.Length is 3 or 4 && text.All(digit => digit is >= '0' and <= '7') && (text.Length == 3 || text[0] == '0');
        value = isMode ? (UnixFileMode)Convert.ToInt32(text, 8) : default;
        return isMode ? null : "must be the mode of a file, in three octal digits behind a zero";
    }

    private static string? ReadProxies(string text, out IPNetwork? value)
    {
        value = null;
        if (text == Unix) return null;
        string? wrong = ReadNetwork(text, out IPNetwork network);
        value = network;
        return wrong is null ? null : "must be ADDRESS/BITS, with no bit set behind these; or unix, who connects over a Unix socket";
    }

    private static string? ReadOrigin(string text, out string value)
    {
        value = text;
        return text == WebOptions.AnyOrigin
            || (Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri.Host.Length > 0
                && text.Equals($"{uri.Scheme}://{uri.Authority}", StringComparison.OrdinalIgnoreCase))
            ? null
            : "must be * or SCHEME://HOST[:PORT] as browsers send it, without a path and without the scheme's own port";
    }

    private static string? ReadHttpTo(string text, out IPEndPoint? value)
    {
        string? wrong = ReadListen(text, out IPEndPoint address);
        value = address;
        return wrong is null && address.Port != 0 && !text.StartsWith('*')
            ? null
            : "must be ADDRESS:PORT, an IPv6 address in brackets, the port from 1 to 65535";
    }

    private static string? ReadNetwork(string text, out IPNetwork value) =>
        IPNetwork.TryParse(text, out value) && IPAddress.Parse(text.AsSpan(0, text.IndexOf('/'))).Equals(value.BaseAddress)
            ? null
            : "must be ADDRESS/BITS, with no bit set behind these";

    private static string? ReadBackend(string text, out HostPort? value)
    {
        value = null;
        return text == "echo:" || ReadTcpBackend(text, out value) is null
            ? null
            : "must be tcp://HOST:PORT or echo:, an IPv6 address in brackets, the port from 1 to 65535";
    }

    private static string? ReadTcpBackend(string text, out HostPort? value)
    {
        const string Tcp = "tcp://";
        value = null;
        return text.StartsWith(Tcp, StringComparison.Ordinal)
            && HostPort.TryParse(text[Tcp.Length..], out value) && value is { Port: not 0, IsAll: false }
            ? null
            : "must be tcp://HOST:PORT, an IPv6 address in brackets, the port from 1 to 65535";
    }

    private static string? ReadHost(string text, out string? value)
    {
        value = HostName.NormalizePattern(text);
        string host = value is null ? "" : value.StartsWith("*.", StringComparison.Ordinal) ? value[2..] : value;
        return Uri.CheckHostName(host) == UriHostNameType.Dns ? null : "must be the name of a host";
    }

    private static string? ReadOtherHost(string text, out string? value)
    {
        value = text;
        string host = text;
        if (HostPort.TryParse(text, out HostPort? withPort) && withPort!.Port != 0) host = withPort.Host;
        else if (text.StartsWith('[') && text.EndsWith(']')) host = text[1..^1];
        bool isBareIpv6 = host == text && host.Contains(':');
        return Uri.CheckHostName(host) != UriHostNameType.Unknown && !isBareIpv6
            ? null
            : "must be HOST or HOST:PORT, an IPv6 address in brackets, the port from 1 to 65535";
    }

    private static string? ReadOtherUri(string text, out string? value)
    {
        value = text;
        return text.Length <= 2048 && !text.AsSpan().ContainsAnyExceptInRange('!', '~') && Uri.TryCreate(text, UriKind.Absolute, out Uri? uri)
            && uri is { Scheme: "ws" or "wss", Host.Length: > 0, UserInfo: "", Fragment: "" }
            ? null
            : "must begin with ws:// or wss:// and name a host and a path, as clients write it";
    }

    private static string? ReadFile(string text, out string? value)
    {
        value = text;
        return Path.IsPathFullyQualified(text) && !text.Contains('\0') ? null : "must be the full path of a file";
    }

    private static string? ReadLevel(string text, out LogLevel value) =>
        Enum.TryParse(text, ignoreCase: true, out value) && Enum.IsDefined(value) && !char.IsAsciiDigit(text[0])
            ? null
            : "must be Trace, Debug, Information, Warning, Error, Critical or None";
}
