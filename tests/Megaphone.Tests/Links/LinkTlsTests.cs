using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Tls;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Links over TLS: which certificates are accepted, what each end logs, and how links end.</summary>
public sealed class LinkTlsTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new("A stranger");
    private readonly CancellationTokenSource _stop = new();
    private readonly RoleMetrics _hubMetrics = new(Role.Hub);
    private readonly RoleMetrics _ecmMetrics = new(Role.Ecm);
    private readonly RecordingLog _hubLog = new();
    private readonly RecordingLog _ecmLog = new();
    private readonly RecordingHandler _hub = new();
    private readonly RecordingHandler _ecm = new();
    private readonly List<IDisposable> _opened = [];
    private readonly TaskCompletionSource<Link> _ecmLink = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LinkListener? _listener;
    private LinkTls? _hubTls;

    public LinkTlsTests() => _ecm.WhenUp = link => _ecmLink.TrySetResult(link);

    [Fact]
    public async Task Both_ends_show_certificates_and_packets_go_both_ways()
    {
        Link ecm = await LinkAsync();
        Assert.Contains(_ecmLog.Lines, line => line.Contains("control over TLS 1.3"));
        Assert.Contains(_hubLog.Lines, line => line.Contains("control over TLS 1.3"));

        ecm.TryWrite(7, "up"u8);
        ecm.Flush();
        await BoundedWait.UntilAsync(() => _hub.Events == "up, 7:up", "the ECM's packet");
        Link hub = _listener!.Connections().Single().Link!;
        hub.TryWrite(7, "down"u8);
        hub.Flush();
        await BoundedWait.UntilAsync(() => _ecm.Events == "up, 7:down", "the hub's packet");
    }

    [Fact]
    public async Task A_link_of_the_plain_protocol_can_use_TLS_too()
    {
        Listen(HubOptions());
        Connect(EcmOptions(), control: false);
        await BoundedWait.WithinAsync(_ecmLink.Task, "the link");
        Link ecm = await _ecmLink.Task;
        ecm.TryWrite(7, "hi"u8);
        ecm.Flush();
        await BoundedWait.UntilAsync(() => _hub.Events == "up, 7:hi", "the packet");
        Assert.Contains(_hubLog.Lines, line => line.Contains("plain over TLS 1.3"));
    }

    [Theory]
    [InlineData("name", "not accepted: the certificate CN=hub is for elsewhere.example, not for 127.0.0.1 (Ecm:Link:Tls:Name)")]
    [InlineData(
        "authority",
        "not accepted: the certificate CN=hub was issued by CN=A stranger, which does not come from an authority in Ecm:Link:Tls:Ca")]
    [InlineData(
        "system",
        "not accepted: the certificate CN=hub was issued by CN=Authority of a test, "
        + "which does not come from an authority that this machine trusts")]
    public async Task A_hub_with_a_wrong_certificate_is_not_accepted(string wrong, string expected)
    {
        LinkTlsOptions hub = HubOptions() with
        {
            Own = (wrong == "authority" ? _stranger : _authority).Issue("hub", wrong == "name" ? "elsewhere.example" : "127.0.0.1"),
        };
        Listen(hub);
        LinkTlsOptions ecm = EcmOptions();
        Connect(wrong == "system" ? ecm with { Authorities = null } : ecm);
        await BoundedWait.UntilAsync(() => _ecmLog.Lines.Any(line => line.Contains(expected)), expected);
        Assert.True(_ecmMetrics.Refused(RefusalReason.Tls) > 0);
        Assert.Equal("", _ecm.Events + _hub.Events);
    }

    [Fact]
    public async Task The_certificates_name_may_differ_from_the_address()
    {
        Listen(HubOptions() with { Own = _authority.Issue("hub", "hub.example.org") });
        Connect(EcmOptions() with { PeerName = "hub.example.org" });
        await BoundedWait.WithinAsync(_ecmLink.Task, "the link");
    }

    [Theory]
    [InlineData("none", "no certificate was shown: set Ecm:Link:Tls:Certificate")]
    [InlineData("authority", "the certificate CN=edge was issued by CN=A stranger, which does not come from an authority in Hub:Tls:ClientCa")]
    public async Task An_ECM_without_a_valid_certificate_is_refused_with_a_reason_that_both_ends_log(string wrong, string expected)
    {
        Listen(HubOptions());
        Connect(EcmOptions() with { Own = wrong == "none" ? null : _stranger.Issue("edge") });
        await BoundedWait.UntilAsync(() => _ecmLog.Lines.Any(line => line.Contains($"refused by the other side: {expected}")), "the ECM's line");
        await BoundedWait.UntilAsync(() => _hubLog.Lines.Any(line => line.Contains($"its hello was refused: {expected}")), "the hub's line");
        Assert.True(_hubMetrics.Refused(RefusalReason.Tls) > 0);
        Assert.Equal(0, _hubMetrics.Refused(RefusalReason.Hello));
        Assert.Equal("", _ecm.Events + _hub.Events);
    }

    [Theory]
    [InlineData("use", "may not be used for this: its extendedKeyUsage does not have clientAuth")]
    [InlineData("expired", "expired on ")]
    public async Task A_certificate_that_an_ECM_may_not_use_is_refused(string wrong, string expected)
    {
        Listen(HubOptions());
        (string Certificate, string Key) files = _authority.Issue(
            "edge", days: wrong == "expired" ? -1 : 90, use: wrong == "use" ? TestAuthority.ServerUse : TestAuthority.ClientUse);
        using SslStream ecm = await RawEcmAsync(files);
        ecm.Write(Packets.Of(0, """{"op":"hello","version":1}"""));
        string answer = await ReadAsync(ecm);
        Assert.Contains("\"op\":\"refuse\"", answer, StringComparison.Ordinal);
        Assert.Contains(expected, answer, StringComparison.Ordinal);
        Assert.Equal("", await ReadAsync(ecm));
        Assert.Equal("", _hub.Events);
    }

    [Fact]
    public async Task A_refused_ECM_cannot_open_sessions_by_omitting_the_hello()
    {
        Listen(HubOptions());
        using SslStream ecm = await RawEcmAsync(_stranger.Issue("edge"));
        ecm.Write(Packets.Of(7, "let me in"));
        Assert.Equal("", await ReadAsync(ecm));
        Assert.Equal("", _hub.Events);
        Assert.Equal(1, _hubMetrics.Refused(RefusalReason.Tls));
    }

    [Fact]
    public async Task Without_a_ClientCa_no_certificate_is_required()
    {
        Listen(HubOptions() with { Authorities = null });
        Connect(EcmOptions() with { Own = null });
        await BoundedWait.WithinAsync(_ecmLink.Task, "the link");
    }

    [Fact]
    public async Task A_hub_with_TLS_tells_a_plain_ECM_to_use_TLS()
    {
        Listen(HubOptions());
        Connect(null);
        const string Expected = "links require TLS here: set Ecm:Link:Tls";
        await BoundedWait.UntilAsync(() => _ecmLog.Lines.Any(line => line.Contains($"refused by the other side: {Expected}")), "the ECM's line");
        await BoundedWait.UntilAsync(() => _hubLog.Lines.Any(line => line.Contains(Expected)), "the hub's line");
        Assert.True(_hubMetrics.Refused(RefusalReason.Tls) > 0);
        Assert.Equal(0, _hubMetrics.ProtocolErrors);
        Assert.Equal("", _hub.Events);
    }

    [Fact]
    public async Task Both_ends_log_that_only_the_ECM_uses_TLS()
    {
        Listen(null);
        Connect(EcmOptions());
        await BoundedWait.UntilAsync(
            () => _hubLog.Lines.Any(line => line.Contains("the other end uses TLS, and Hub:Tls is not set here")), "the hub's line");
        await BoundedWait.UntilAsync(() => _ecmLog.Lines.Any(line => line.Contains("if it does not use TLS, set Hub:Tls there")), "the ECM's line");
        Assert.True(_hubMetrics.ProtocolErrors > 0);
        Assert.True(_ecmMetrics.Refused(RefusalReason.Tls) > 0);
    }

    [Fact]
    public async Task A_plain_ECM_recognizes_a_TLS_alert()
    {
        using Socket server = Bound();
        Connect(null, port: PortOf(server));
        using Socket link = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
        link.Send([0x15, 3, 3, 0, 2, 2, 10]);
        await BoundedWait.UntilAsync(() => _ecmLog.Lines.Any(line => line.Contains("the other end uses TLS: set Ecm:Link:Tls")), "the ECM's line");
    }

    [Fact]
    public async Task An_alert_from_the_other_end_is_logged_by_name()
    {
        using Socket server = Bound();
        Connect(EcmOptions(), port: PortOf(server));
        using Socket link = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
        link.Receive(new byte[1]);
        link.Send([0x15, 3, 3, 0, 2, 2, 48]);
        await BoundedWait.UntilAsync(
            () => _ecmLog.Lines.Any(line => line.Contains("the other end refused with the TLS alert \"unknown ca\"")),
            string.Join('\n', _ecmLog.Lines));
    }

    [Fact]
    public async Task A_stalled_handshake_times_out_and_is_retried()
    {
        using Socket server = Bound();
        Connect(EcmOptions(), port: PortOf(server), connectTimeout: TimeSpan.FromMilliseconds(200));
        for (int i = 0; i < 2; i++)
        {
            using Socket link = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
            await BoundedWait.UntilAsync(
                () => _ecmLog.DebugLines.Count(line => line.Text.Contains("no TLS handshake within 0.2 s")) > i, "the end of it");
        }
    }

    [Fact]
    public async Task Stalled_handshakes_at_the_hub_affect_no_other_link_and_time_out()
    {
        Listen(HubOptions());
        List<Socket> stalled = [];
        byte[][] beginnings = [[], [0x16], [0x16, 3, 1, 2, 0, 1], Encoding.ASCII.GetBytes("0000000041|")];
        foreach (byte[] beginning in beginnings)
        {
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000 };
            _opened.Add(socket);
            socket.Connect(_listener!.Listening);
            if (beginning.Length > 0) socket.Send(beginning);
            stalled.Add(socket);
        }

        await LinkAsync(listen: false);
        await BoundedWait.UntilAsync(() => _listener!.Connections().Length == 1, "the end of those that stall");
        await BoundedWait.UntilAsync(() => _hubMetrics.Links == 1, "the link in the count");
        Assert.Equal(stalled.Count, _hubMetrics.Refused(RefusalReason.Tls));
    }

    [Theory]
    [InlineData("16030100")]
    [InlineData("160301000401000000")]
    [InlineData("1603010200ffffffffffffffffffffffff")]
    [InlineData("474554202f20485454502f312e310d0a0d0a")]
    [InlineData("00000000000000000000000000000000000000")]
    public async Task Garbage_ends_its_link_and_is_logged_once_and_counted(string hex)
    {
        Listen(HubOptions());
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000 };
        socket.Connect(_listener!.Listening);
        socket.Send(Convert.FromHexString(hex));
        socket.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => _listener!.Connections().Length == 0 && _hubLog.Lines.Length > 0, "the end of the link");
        Assert.Single(_hubLog.Lines);
        Assert.Equal(1, _hubMetrics.Refused(RefusalReason.Tls));
    }

    [Theory]
    [InlineData(true, "ended by the other side;")]
    [InlineData(false, "truncated: the connection ended without TLS's close_notify")]
    public async Task Truncation_is_distinguished_from_an_orderly_end(bool inOrder, string expected)
    {
        Listen(HubOptions());
        using SslStream ecm = await RawEcmAsync(_authority.Issue("edge"));
        ecm.Write(Packets.Of(7, "hi"));
        await BoundedWait.UntilAsync(() => _hub.Events == "up, 7:hi", "the packet");
        if (inOrder) await ecm.ShutdownAsync();
        ecm.Close();
        await BoundedWait.UntilAsync(
            () => _hubLog.Lines.Any(line => line.Contains("is down") && line.Contains(expected)), string.Join('\n', _hubLog.Lines));
    }

    [Fact]
    public async Task Draining_while_both_ends_send_loses_nothing_and_ends_in_order()
    {
        const int Count = 3_000;
        byte[] content = new byte[3_000];
        long toHub = 0, toEcm = 0;
        _hub.Accepts = _ => Interlocked.Increment(ref toHub) > 0;
        _ecm.Accepts = _ => Interlocked.Increment(ref toEcm) > 0;
        Link ecm = await LinkAsync();
        Link hub = _listener!.Connections().Single().Link!;

        Task Send(Link link) => Task.Run(async () =>
        {
            for (int i = 0; i < Count; i++)
            {
                while (!link.TryWrite(7, content)) await Task.Delay(1);
                if (i % 10 == 0) link.Flush();
            }
        });

        // Much of it is still on its way when both begin to end.
        await BoundedWait.WithinAsync(Task.WhenAll(Send(ecm), Send(hub)), "everything to be queued");
        await BoundedWait.WithinAsync(
            Task.WhenAll(ecm.Connection!.DrainAsync(CancellationToken.None), hub.Connection!.DrainAsync(CancellationToken.None)),
            "both to be drained");
        Assert.Equal((Count, Count), (toHub, toEcm));
        await BoundedWait.UntilAsync(() => _ecmLog.Lines.Concat(_hubLog.Lines).Count(line => line.Contains("is down")) == 2, "both lines");
        Assert.DoesNotContain(_ecmLog.Lines.Concat(_hubLog.Lines), line => line.Contains("truncated") || line.Contains("internal error"));
    }

    [Fact]
    public async Task Closing_ends_a_thread_that_waits_for_the_socket()
    {
        using SecuredPair pair = await SecuredPair.ConnectAsync(bufferBytes: 4096);
        RoleMetrics metrics = new(Role.Ecm);
        TestSender sender = new(pair.Ours, 1 << 20, "blocked", metrics, secured: pair.Secured);
        while (sender.TryWrite(7, new byte[1000])) sender.Flush();
        await Task.Delay(100);
        Assert.False(sender.Ended.IsCompleted);

        pair.Ours.Dispose();
        sender.Stop();
        await BoundedWait.WithinAsync(sender.Ended, "the sender of a closed socket");
        Assert.True(metrics.Dropped(DropReason.LinkLost) > 0);
    }

    [Fact]
    public async Task New_files_are_used_for_new_links_and_bad_ones_change_nothing()
    {
        Link ecm = await LinkAsync();
        (string Certificate, string Key) files = HubOptions().Own!.Value;
        string old = await RemoteSerialAsync();

        await File.WriteAllTextAsync(files.Key, "none");
        _hubTls!.Reload();
        Assert.Contains(
            _hubLog.Lines,
            line => line.Contains("Hub:Tls: new certificates cannot be used, the previous ones stay in use: ") && line.Contains(files.Key));
        Assert.Equal(old, await RemoteSerialAsync());

        _authority.Issue("hub", "127.0.0.1", days: 33.5);
        _hubTls.Reload();
        Assert.NotEqual(old, await RemoteSerialAsync());
        Assert.Equal((1, 1), (_hubMetrics.LinkCertificateReloads(succeeded: true), _hubMetrics.LinkCertificateReloads(succeeded: false)));
        DateTimeOffset end = _hubMetrics.LinkCertificates.First(file => file.File == files.Certificate).NotAfter;
        Assert.Equal(33, (int)(end - DateTimeOffset.UtcNow).TotalDays);

        ecm.TryWrite(7, "still here"u8);
        ecm.Flush();
        await BoundedWait.UntilAsync(() => _hub.Events.EndsWith("7:still here", StringComparison.Ordinal), "a packet on the link that stands");
    }

    [Theory]
    [InlineData("expired", "hub.pem: CN=hub expired on ")]
    [InlineData("use", "hub.pem: extendedKeyUsage of CN=hub does not have serverAuth")]
    [InlineData("key", "hub.key: the key is not that of the certificate in ")]
    [InlineData("no key", "hub.key: there is no private key in it; ")]
    [InlineData("encrypted", "hub.key: the key in it is encrypted, ")]
    [InlineData("folder", "hub.key: it is a directory; ")]
    [InlineData("missing", "hub.pem: there is no such file; `ls -l /")]
    [InlineData("garbage", "hub.pem: there is no certificate in it")]
    [InlineData("broken use", "hub.pem: ")]
    [InlineData("authority", "none.pem: there is no such file; ")]
    [InlineData("no root", "hub.pem: none of its authorities is a root; put the certificate of CN=Authority of a test behind them")]
    public void Files_that_cannot_be_used_are_named(string wrong, string problem)
    {
        LinkTlsOptions options = HubOptions();
        (string certificate, string key) = options.Own!.Value;
        if (wrong == "expired") _authority.Issue("hub", "127.0.0.1", days: -1);
        if (wrong == "use") _authority.Issue("hub", "127.0.0.1", use: TestAuthority.ClientUse);
        if (wrong == "key") File.Copy(_authority.Issue("other").Key, key, overwrite: true);
        if (wrong == "no key") File.WriteAllText(key, "garbage");
        if (wrong == "encrypted") File.WriteAllText(key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        if (wrong == "folder") options = options with { Own = (certificate, Directory.CreateDirectory(certificate[..^4] + "/hub.key").FullName) };
        if (wrong == "missing") File.Delete(certificate);
        if (wrong == "garbage") File.WriteAllText(certificate, "garbage");
        if (wrong == "broken use") _authority.IssueBroken("hub", "2.5.29.37");
        if (wrong == "no root") options = options with { Authorities = certificate };
        if (wrong == "authority") options = options with { Authorities = Path.Combine(Path.GetDirectoryName(_authority.File)!, "none.pem") };
        CertificateException error = Assert.Throws<CertificateException>(() => LinkCredentials.Load(options, DateTimeOffset.UtcNow));
        Assert.Contains(problem, Assert.Single(error.Problems).ToString(), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener?.Dispose();
        foreach (LinkConnection connection in _listener?.Connections() ?? []) connection.Close("the test is over");
        if (_ecmLink.Task.IsCompleted) _ecmLink.Task.Result.Connection!.Close("the test is over");
        _opened.ForEach(opened => opened.Dispose());
        _authority.Dispose();
        _stranger.Dispose();
        _stop.Dispose();
    }

    private static Socket Bound()
    {
        Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        server.Listen(16);
        return server;
    }

    private static int PortOf(Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;

    private static async Task<string> ReadAsync(SslStream stream)
    {
        byte[] buffer = new byte[4096];
        return Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer).AsTask().WaitAsync(BoundedWait.Limit));
    }

    private LinkTlsOptions HubOptions() => new() { Listens = true, Own = Hub(), Authorities = _authority.File };

    private (string Certificate, string Key) Hub()
    {
        string folder = Path.GetDirectoryName(_authority.File)!;
        (string Certificate, string Key) files = (Path.Combine(folder, "hub.pem"), Path.Combine(folder, "hub.key"));
        return File.Exists(files.Key) ? files : _authority.Issue("hub", "127.0.0.1", use: TestAuthority.ServerUse);
    }

    private LinkTlsOptions EcmOptions() => new()
    {
        Own = _authority.Issue("edge", use: TestAuthority.ClientUse),
        Authorities = _authority.File,
    };

    private void Listen(LinkTlsOptions? tls)
    {
        LinkLog log = new(_hubLog);
        if (tls is not null) _opened.Add(_hubTls = new LinkTls(tls, _hubMetrics, log));
        _listener = new LinkListener(
            new IPEndPoint(IPAddress.Loopback, 0), 64, new LinkOptions { Name = "hub" }, () => _hub, _hubMetrics, log, _hubTls);
        _listener.Start();
    }

    private void Connect(LinkTlsOptions? tls, bool control = true, int? port = null, TimeSpan? connectTimeout = null)
    {
        LinkLog log = new(_ecmLog);
        LinkTls? ecmTls = tls is null ? null : new LinkTls(tls, _ecmMetrics, log);
        if (ecmTls is not null) _opened.Add(ecmTls);
        HostPort hub = new("127.0.0.1", port ?? ((IPEndPoint)_listener!.Listening).Port);
        LinkConnectOptions connect = new()
        {
            To = [hub],
            Control = control,
            ConnectTimeout = connectTimeout ?? BoundedWait.Limit,
            RetryMin = TimeSpan.FromMilliseconds(50),
            RetryMax = TimeSpan.FromMilliseconds(200),
        };
        TargetAddress to = new(hub, new IPEndPoint(IPAddress.Loopback, hub.Port));
        _ = new LinkConnector(connect, to, new LinkOptions { Name = "ecm" }, _ecm, _ecmMetrics, log, ecmTls).RunAsync(_stop.Token);
    }

    /// <summary>A link that is up, with certificates at both ends.</summary>
    private async Task<Link> LinkAsync(bool listen = true)
    {
        if (listen) Listen(HubOptions());
        Connect(EcmOptions());
        await BoundedWait.WithinAsync(_ecmLink.Task, "the link");
        await BoundedWait.UntilAsync(() => _hub.Events.StartsWith("up", StringComparison.Ordinal), "the link");
        return await _ecmLink.Task;
    }

    /// <summary>An ECM played by a test, after the handshake.</summary>
    private async Task<SslStream> RawEcmAsync((string Certificate, string Key) files)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _opened.Add(socket);
        socket.Connect(_listener!.Listening);
        SslStream stream = new(new NetworkStream(socket, ownsSocket: true));
        SslClientAuthenticationOptions options = new() { TargetHost = "127.0.0.1", CertificateChainPolicy = SecuredPair.Trusting(_authority) };
        options.ClientCertificateContext = SslStreamCertificateContext.Create(
            X509Certificate2.CreateFromPemFile(files.Certificate, files.Key), null, offline: true);
        await BoundedWait.WithinAsync(stream.AuthenticateAsClientAsync(options), "the handshake");
        return stream;
    }

    private async Task<string> RemoteSerialAsync()
    {
        using SslStream ecm = await RawEcmAsync(_authority.Issue("edge"));
        return ecm.RemoteCertificate!.GetSerialNumberString();
    }
}
