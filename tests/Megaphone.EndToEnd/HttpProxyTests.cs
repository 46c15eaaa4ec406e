using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>Behind proxies that speak TLS and HTTP, configured as the manual has it.</summary>
public sealed partial class HttpProxyTests(HttpProxyTests.Server server) : IClassFixture<HttpProxyTests.Server>
{
    /// <summary>The client's address; the proxies have 127.0.0.1.</summary>
    internal static readonly IPAddress Home = IPAddress.Parse("127.0.0.5");

    [Theory]
    [InlineData("nginx")]
    [InlineData("haproxy")]
    public async Task Ejabberd_gets_the_clients_address_and_that_it_uses_TLS(string program)
    {
        using ChildProcess proxy = program == "nginx" ? server.StartNginx() : server.StartHaproxy();
        await server.ListensAsync(proxy);

        using SocketsHttpHandler handler = new() { ConnectCallback = ConnectFromHomeAsync };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=proxy";
        using HttpMessageInvoker http = new(handler);
        Uri address = WebUser.Address("wss", server.Proxy);
        using WebUser juliet = await WebUser.LogInAsync(address, "juliet", http, ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "http"));

        string[][] users = [.. (await server.Ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        string[] user = Assert.Single(users);
        Assert.Equal(("juliet@localhost/web", "websocket", $"{Home}"), (user[0], user[1], user[2]));
        string body = new('x', 100_000);
        await juliet.SendAsync($"<message xmlns='jabber:client' type='chat' to='juliet@localhost/web'><body>{body}</body></message>");
        Assert.Contains($"<body>{body}</body>", await juliet.ReceiveAsync("<message xmlns='jabber:client'"));
        await juliet.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    internal static async ValueTask<Stream> ConnectFromHomeAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Bind(new IPEndPoint(Home, 0));
        await socket.ConnectAsync(context.DnsEndPoint, cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }

    /// <summary>ejabberd with the module, which wants its users to have TLS, and an ECM in front of it, to which no client connects itself.</summary>
    public sealed partial class Server : IAsyncLifetime
    {
        private string _folder = "";

        internal Ejabberd Ejabberd { get; private set; } = null!;

        internal MegaphoneProcess Ecm { get; private set; } = null!;

        internal TestCertificates Certificates { get; private set; } = null!;

        /// <summary>Where the proxy listens.</summary>
        internal IPEndPoint Proxy { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            _folder = Directory.CreateTempSubdirectory("megaphone-proxy-").FullName;
            Certificates = new TestCertificates();
            Certificates.Issue("proxy", ["localhost"]);
            using (Socket free = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                free.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                Proxy = (IPEndPoint)free.LocalEndPoint!;
            }

            Ejabberd = await Ejabberd.StartWithModuleAsync("starttls_required: true");
            Ecm = await MegaphoneProcess.EcmAsync(
                Ejabberd.LinkListener, "Ecm:Clients:0:Framing=web", "Ecm:Clients:0:Web:ForwardedFrom:0=127.0.0.1/32", "Ecm:Proxy=v2");
            await Ecm.HasLinksAsync(1, "ecm");
        }

        public async Task DisposeAsync()
        {
            Ecm.Dispose();
            await Ejabberd.DisposeAsync();
            Certificates.Dispose();
            Directory.Delete(_folder, recursive: true);
        }

        internal ChildProcess StartNginx()
        {
            (string certificate, string key) = Certificates.Files("proxy");
            string file = Write("nginx.conf", $$"""
                daemon off;
                master_process off;
                pid nginx.pid;
                events {}
                http {
                  access_log off;
                  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                  server {
                    listen {{Proxy}} ssl;
                    ssl_certificate {{certificate}};
                    ssl_certificate_key {{key}};
                    {{FromManual("In nginx:")}}
                  }
                }
                """);
            return ChildProcess.Start(["/usr/sbin/nginx", "-p", _folder, "-e", "stderr", "-c", file]);
        }

        internal ChildProcess StartHaproxy()
        {
            string bind = $"mode http\n  bind {Proxy} ssl crt {Certificates.Bundle("proxy")}\n";
            string file = Write("haproxy.cfg", $"""
                defaults
                  timeout connect 10s
                  timeout client 1m
                  timeout server 1m
                {FromManual("and in HAProxy:").Replace("…\n", bind, StringComparison.Ordinal)}
                """);
            return ChildProcess.Start(["/usr/sbin/haproxy", "-db", "-f", file]);
        }

        /// <summary>Waits until the proxy can be connected to.</summary>
        internal Task ListensAsync(ChildProcess proxy) => BoundedWait.UntilAsync(
            async () => proxy.HasEnded ? throw new InvalidOperationException(proxy.State) : await IsListeningAsync(),
            () => $"a proxy to listen; {proxy.State}");

        private async Task<bool> IsListeningAsync()
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(Proxy);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        }

        /// <summary>The part of a configuration that follows these words in the manual, with the ECM's address.</summary>
        private string FromManual(string words)
        {
            string manual = File.ReadAllText(Path.Combine(Repository.Root, "docs/operating.md"));
            string block = Block().Match(manual[(manual.IndexOf(words, StringComparison.Ordinal) + words.Length)..]).Value;
            Assert.Contains("127.0.0.1:5443", block);
            return block.Replace("127.0.0.1:5443", $"{Ecm.Clients}", StringComparison.Ordinal);
        }

        private string Write(string name, string text)
        {
            string path = Path.Combine(_folder, name);
            File.WriteAllText(path, text);
            return path;
        }

        [GeneratedRegex(@"\A\n\n(    .*\n|\n(?=    ))+")]
        private static partial Regex Block();
    }
}
