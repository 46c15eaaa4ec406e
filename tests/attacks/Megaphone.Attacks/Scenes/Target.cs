using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>The running processes of a <see cref="Megaphone.Attacks.Scene"/>, on loopback and ports of their own.</summary>
internal sealed class Target : IAsyncDisposable
{
    private const string AlsoInCertificates = "localhost";

    private readonly TestCertificates _certificates = new();
    private MegaphoneProcess? _ecm;
    private FrontProxy? _haproxy;

    private Target(Scene scene, Front front)
    {
        (Scene, Front) = (scene, front);
        Authority = X509CertificateLoader.LoadCertificateFromFile(_certificates.AuthorityFile);
    }

    /// <summary>What they were started as.</summary>
    public Scene Scene { get; }

    /// <summary>What clients connect to.</summary>
    public Front Front { get; }

    /// <summary>The ECM, where there is one.</summary>
    public MegaphoneProcess Ecm => _ecm!;

    /// <summary>The hub, where there is one.</summary>
    public MegaphoneProcess? Hub { get; private set; }

    /// <summary>ejabberd, where there is one.</summary>
    public Ejabberd? Ejabberd { get; private set; }

    /// <summary>The address for clients without TLS.</summary>
    public IPEndPoint Clients => Front switch
    {
        Front.HaProxy => _haproxy!.Listeners[0],
        Front.Ejabberd => Ejabberd!.DirectListener,
        _ => Ecm.ClientListeners[0],
    };

    /// <summary>The address for clients with TLS.</summary>
    public IPEndPoint TlsClients => Front switch
    {
        Front.HaProxy => _haproxy!.Listeners[1],
        Front.Ejabberd => Ejabberd!.TlsListener,
        _ => Ecm.ClientListeners[1],
    };

    /// <summary>The address for clients with STARTTLS.</summary>
    public IPEndPoint StartTlsClients => Ecm.ClientListeners[2];

    /// <summary>The address for links.</summary>
    public IPEndPoint Links => Hub?.Hub ?? Ejabberd!.LinkListener;

    /// <summary>The authority that has issued the certificates that clients are shown.</summary>
    public X509Certificate2 Authority { get; private set; }

    /// <summary>The process that is attacked.</summary>
    public int AttackedProcess => Front switch
    {
        Front.HaProxy => _haproxy!.Id,
        Front.Ejabberd => Ejabberd!.Id,
        _ => !Scene.AttacksServer ? Ecm.Process.Id : Hub?.Process.Id ?? Ejabberd!.Id,
    };

    /// <summary>Whether the ECM still runs, and the last that it has said; nothing where there is none.</summary>
    public string State => _ecm?.Process.State ?? "";

    /// <summary>The name of a file that may be written, and is deleted with this object.</summary>
    public string KeyLog(string name) => _certificates.Files(name).Key;

    /// <summary>Starts the processes; the link is up afterwards.</summary>
    public static async Task<Target> StartAsync(Scene scene, Front front)
    {
        Target target = new(scene, front);
        try
        {
            await target.StartAsync();
            return target;
        }
        catch
        {
            await target.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts another ECM for the same server.</summary>
    /// <param name="linkTo">The address that its link connects to.</param>
    /// <param name="settings"><c>KEY=VALUE</c> each.</param>
    public Task<MegaphoneProcess> StartEcmAsync(IPEndPoint linkTo, params string[] settings) => MegaphoneProcess.EcmAsync(
        linkTo, [.. LinkSettings(), .. settings]);

    /// <summary>Bytes that all of them have written to their logs.</summary>
    public long LogBytes() =>
        (_ecm is null ? 0 : Written(_ecm.Process)) + (Hub is null ? 0 : Written(Hub.Process)) + (_haproxy is null ? 0 : Written(_haproxy.Process))
        + (Ejabberd is null ? 0 : Directory.GetFiles(Ejabberd.LogFolder).Sum(file => new FileInfo(file).Length));

    /// <summary>The lines of the attacked server's log.</summary>
    /// <param name="skip">How many lines to leave out at the beginning.</param>
    public List<string> ServerLog(int skip = 0) => Hub is not null
        ? [.. Hub.Process.Output.Concat(Hub.Process.Errors).Skip(skip)]
        : [.. File.ReadAllText(Path.Combine(Ejabberd!.LogFolder, "ejabberd.log"), Encoding.Latin1).Split('\n').Skip(skip)];

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _haproxy?.Dispose();
        _ecm?.Dispose();
        Hub?.Dispose();
        if (Ejabberd is not null) await Ejabberd.DisposeAsync();
        Authority.Dispose();
        _certificates.Dispose();
    }

    private static long Written(ChildProcess process) =>
        process.Output.Concat(process.Errors).Sum(line => Encoding.UTF8.GetByteCount(line) + 1L);

    private async Task StartAsync()
    {
        _certificates.Issue("host", [.. Scene.StartTlsHosts ?? [], AlsoInCertificates]);
        if (Scene.Server != Server.Echo)
        {
            string[] secretLine = Scene.Secret is null || Scene.Server == Server.Hub ? [] : [$"secret: \"{Scene.Secret}\""];
            Ejabberd = Front == Front.Ecm
                ? await Ejabberd.StartWithModuleAsync([.. secretLine, .. Scene.Listener])
                : await Ejabberd.StartForAnybodyAsync();
            if (Scene.EjabberdLogs is { } level) await Ejabberd.EvaluateAsync($"ejabberd_logger:set({level})");
        }

        (string certificate, string key) = _certificates.Files("host");
        if (Front == Front.Ejabberd)
        {
            Authority.Dispose();
            Authority = X509CertificateLoader.LoadCertificateFromFile(Ejabberd!.Certificate);
            return;
        }

        if (Front == Front.HaProxy)
        {
            string both = certificate + ".both";
            await File.WriteAllTextAsync(both, await File.ReadAllTextAsync(key) + "\n" + await File.ReadAllTextAsync(certificate));
            _haproxy = await FrontProxy.HaProxyAsync(
                [.. new[] { "", $"ssl crt {both}" }.Select(tls => (tls, "send-proxy-v2 no-check", Ejabberd!.ProxyListener))]);
            return;
        }

        if (Scene.Server != Server.Module)
        {
            string[] tls = Scene.LinkTls ? [$"Hub:Tls:Certificate={certificate}", $"Hub:Tls:Key={key}"] : [];
            string[] secret = Scene.Secret is null ? [] : [$"Hub:Secret={Scene.Secret}"];
            string[] backend = Ejabberd is null ? [] : [$"Hub:Backend=tcp://{Ejabberd.ProxyListener}"];
            Hub = await MegaphoneProcess.HubAsync([.. backend, .. tls, .. secret, .. Scene.Hub]);
        }

        string framing = Scene.Server == Server.Echo ? "bytes" : "stanza";
        List<string> settings =
        [
            .. Scene.Server == Server.Hub ? ["Ecm:Proxy=v2"] : Array.Empty<string>(),
            "Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Clients:0:Framing={framing}",
            "Ecm:Clients:1:Listen=127.0.0.1:0", $"Ecm:Clients:1:Framing={framing}", "Ecm:Clients:1:Tls=direct",
            $"Ecm:Link:To={Links}", "Ecm:Link:RetryMax=00:00:00.5", .. _certificates.Settings("host"), .. LinkSettings(), .. Scene.Ecm,
        ];
        if (Scene.StartTlsHosts is not null)
            settings.AddRange(["Ecm:Clients:2:Listen=127.0.0.1:0", $"Ecm:Clients:2:Framing={framing}", "Ecm:Clients:2:Tls=starttls"]);
        string[]? launcher = Scene.EcmDescriptors is { } descriptors
            ? ["prlimit", string.Create(CultureInfo.InvariantCulture, $"--nofile={descriptors}:{descriptors}")]
            : null;
        _ecm = await MegaphoneProcess.StartAsync(settings, launcher);
        await Ecm.HasLinksAsync(1, "ecm");
    }

    private string[] LinkSettings() =>
    [
        .. Scene.Secret is null ? Array.Empty<string>() : [$"Ecm:Link:Secret={Scene.Secret}"],
        .. Scene.LinkTls ? [$"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}", "Ecm:Link:Tls:Name=localhost"] : Array.Empty<string>(),
    ];
}
