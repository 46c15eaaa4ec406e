using System.Net;
using System.Net.NetworkInformation;

namespace Megaphone.EndToEnd.Support;

/// <summary>Debian's HAProxy, or its nginx, in front of an ECM, which it tells in PROXY headers who its clients are.</summary>
internal sealed class FrontProxy : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-proxy-").FullName;
    private readonly ChildProcess _process;

    private FrontProxy(int listeners, Func<FrontProxy, string> configuration, Func<string, string[]> command)
    {
        // An address of its own, all of whose ports are free.
        IPAddress address = new([127, (byte)Random.Shared.Next(128, 256), (byte)Random.Shared.Next(256), (byte)Random.Shared.Next(1, 255)]);
        Listeners = [.. Enumerable.Range(5222, listeners).Select(port => new IPEndPoint(address, port))];
        string file = Path.Combine(_folder, "configuration");
        File.WriteAllText(file, configuration(this));
        _process = ChildProcess.Start(command(file), _folder);
    }

    /// <summary>The address from which it connects to the ECM.</summary>
    public static IPAddress Source { get; } = IPAddress.Parse("127.0.0.8");

    /// <summary>The process.</summary>
    public ChildProcess Process => _process;

    /// <summary>Its id.</summary>
    public int Id => _process.Id;

    /// <summary>Where clients connect, in the order in which this was asked for.</summary>
    public IReadOnlyList<IPEndPoint> Listeners { get; }

    /// <summary>Starts HAProxy, which also looks at each server twenty times a second, as it would for its health.</summary>
    /// <param name="relays">What each listener says behind <c>bind</c> and its address, and behind <c>server</c>; and where it leads to, an
    /// address or a Unix socket.</param>
    public static Task<FrontProxy> HaProxyAsync(params (string Bind, string Server, EndPoint To)[] relays)
    {
        return StartAsync(new FrontProxy(relays.Length, Configuration, file => ["/usr/sbin/haproxy", "-db", "-f", file]));

        string Configuration(FrontProxy proxy) =>
            "defaults\n  mode tcp\n  unique-id-format %[uuid()]\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
            + string.Concat(relays.Select((relay, i) =>
                $"listen {i}\n  bind {proxy.Listeners[i]} {relay.Bind}\n"
                + $"  server ecm {(relay.To is IPEndPoint to ? $"{to} source {Source}" : $"unix@{relay.To}")} check inter 50ms {relay.Server}\n"));
    }

    /// <summary>Starts nginx, which knows version 1 of the header.</summary>
    /// <param name="to">Where each listener leads to.</param>
    public static Task<FrontProxy> NginxAsync(params IPEndPoint[] to)
    {
        return StartAsync(new FrontProxy(to.Length, Configuration, file => ["/usr/sbin/nginx", "-e", "stderr", "-c", file]));

        string Configuration(FrontProxy proxy) =>
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
            + $"daemon off;\npid {proxy._folder}/nginx.pid;\nerror_log stderr;\nevents {{ }}\nstream {{\n"
            + string.Concat(to.Select((server, i) =>
                $"  server {{ listen {proxy.Listeners[i]}; proxy_pass {server}; proxy_bind {Source}; proxy_protocol on; }}\n"))
            + "}\n";
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<FrontProxy> StartAsync(FrontProxy proxy)
    {
        try
        {
            await BoundedWait.UntilAsync(
                () => Task.FromResult(proxy._process.HasEnded || proxy.IsListening), () => $"a proxy; it said\n{proxy._process.Said}");
            return proxy._process.HasEnded ? throw new InvalidOperationException(proxy._process.State) : proxy;
        }
        catch
        {
            proxy.Dispose();
            throw;
        }
    }

    // A connection would be one to the ECM.
    private bool IsListening => !Listeners.Except(IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners()).Any();
}
