using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>curl at a listener for the web: whatever is no WebSocket is ejabberd's, and works there as it does without an ECM.</summary>
public sealed class CurlTests(CurlTests.Server server) : IClassFixture<CurlTests.Server>
{
    [Theory]
    [InlineData]
    [InlineData("--http1.0", "--no-alpn")]
    [InlineData("--http2")]
    public async Task Host_meta_is_found(params string[] options)
    {
        string answer = (await server.CurlAsync("/.well-known/host-meta", ["--fail", .. options])).Replace('"', '\'');
        Assert.Contains("rel='urn:xmpp:alt-connections:websocket'", answer, StringComparison.Ordinal);
        Assert.Contains("href='wss://chat.example.org/ws'", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("404", "/nothing")]
    [InlineData("404", "/ws")]
    [InlineData("404", "/ws", "--data", "a=b")]
    [InlineData("404", "/ws", "--header", "Upgrade: h2c", "--header", "Connection: Upgrade")]
    [InlineData("400", "/ws", "--header", "Upgrade: websocket", "--header", "Connection: Upgrade")]
    [InlineData("404", "/nothing", "--head")]
    public async Task What_is_no_WebSocket_gets_an_answer(string status, string path, params string[] options) =>
        Assert.Equal(status, await server.CurlAsync(path, ["--output", "/dev/null", "--write-out", "%{http_code}", .. options]));

    [Theory]
    [InlineData("404", "/")]
    [InlineData("404", "/", "--head")]
    [InlineData("404", "/upload", "--upload-file", "/etc/hostname")]
    [InlineData("426", "/ws")]
    [InlineData("404", "/ws", "--data", "a=b")]
    public async Task Where_there_is_no_server_for_HTTP_it_is_refused_in_words(string status, string path, params string[] options)
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Clients:0:Framing=web");
        Assert.Equal(
            status, await Server.RunAsync([$"http://{both.Clients}{path}", "--output", "/dev/null", "--write-out", "%{http_code}", .. options]));
    }

    [Fact]
    public async Task Two_requests_go_over_one_connection() => Assert.Equal(
        "200 1\n200 0",
        await server.CurlAsync(
            "/.well-known/host-meta",
            [
                server.Url("/.well-known/host-meta"), "--output", "/dev/null", "--output", "/dev/null", "--write-out",
                "%{http_code} %{num_connects}\n",
            ]));

    [Fact]
    public async Task A_file_is_uploaded_and_comes_back()
    {
        const int Size = 3_000_000;
        string file = Path.Combine(server.Folder, "file");
        await File.WriteAllBytesAsync(file, Sample.Bytes(Size));
        using WebUser juliet = await WebUser.LogInAsync(server.Ecm.ClientListeners[1], "juliet");
        await juliet.SendAsync(
            "<iq xmlns='jabber:client' type='get' to='upload.localhost' id='u'>"
            + $"<request xmlns='urn:xmpp:http:upload:0' filename='file' size='{Size}' content-type='application/octet-stream'/></iq>");
        string slot = await juliet.ReceiveAsync("<iq");
        Assert.Contains("<put ", slot);
        Assert.Equal("201", await server.CurlAsync(PathIn("put"), ["--upload-file", file, "--write-out", "%{http_code}", "--output", "/dev/null"]));
        string back = Path.Combine(server.Folder, "back");
        await server.CurlAsync(PathIn("get"), ["--fail", "--output", back]);
        Sample.AssertSame(await File.ReadAllBytesAsync(file), await File.ReadAllBytesAsync(back));

        string PathIn(string element) => new Uri(slot.Split($"<{element} ")[1].Split("url='")[1].Split('\'')[0]).AbsolutePath;
    }

    /// <summary>ejabberd with the module, host-meta and uploads, and an ECM in front of it, with TLS; beside it, a listener without.</summary>
    public sealed class Server : IAsyncLifetime
    {
        internal TestCertificates Certificates { get; private set; } = null!;

        internal Ejabberd Ejabberd { get; private set; } = null!;

        internal MegaphoneProcess Ecm { get; private set; } = null!;

        /// <summary>For files of tests.</summary>
        internal string Folder { get; } = Directory.CreateTempSubdirectory("megaphone-curl-").FullName;

        public async Task InitializeAsync()
        {
            Certificates = new TestCertificates();
            Certificates.Issue("localhost", ["localhost"]);
            Ejabberd = await Ejabberd.StartWithModulesAsync(
                "mod_http_upload: { put_url: \"https://localhost/upload\", docroot: \"@HOME@/upload\", access: all }\n"
                + "  mod_host_meta: { websocket_url: \"wss://chat.example.org/ws\" }");
            (IPEndPoint http, _) = await Ejabberd.AddListenerAsync(
                "module: ejabberd_http", "use_proxy_protocol: true",
                "request_handlers: { /upload: mod_http_upload, /.well-known/host-meta: mod_host_meta }");
            Ecm = await MegaphoneProcess.EcmAsync(
                Ejabberd.LinkListener,
                [
                    "Ecm:Clients:0:Framing=web", "Ecm:Clients:0:Tls=direct", $"Ecm:Clients:0:Web:HttpTo={http}", "Ecm:Clients:1:Listen=127.0.0.1:0",
                    "Ecm:Clients:1:Framing=web", "Ecm:Proxy=v2", .. Certificates.Settings("localhost"),
                ]);
            await Ecm.HasLinksAsync(1, "ecm");
        }

        public async Task DisposeAsync()
        {
            Ecm.Dispose();
            await Ejabberd.DisposeAsync();
            Certificates.Dispose();
            Directory.Delete(Folder, recursive: true);
        }

        internal string Url(string path) => $"https://localhost:{Ecm.Clients.Port}{path}";

        /// <summary>What curl writes.</summary>
        internal Task<string> CurlAsync(string path, string[] options) => RunAsync(["--cacert", Certificates.AuthorityFile, Url(path), .. options]);

        internal static async Task<string> RunAsync(string[] options)
        {
            using ChildProcess curl = ChildProcess.Start(["curl", "--silent", "--show-error", "--max-time", "30", .. options]);
            int status = await curl.EndAsync();
            Assert.True(status == 0, $"curl ended with {status}: {curl.Said}");
            return string.Join('\n', curl.Output);
        }
    }
}
