using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Links;

/// <summary>TLS for all links of one role: does their handshakes, with what is in the files now.</summary>
/// <remarks>
/// New files are taken into use on SIGHUP and when they change, for the links that come after. What cannot be used is told, and what was in
/// use stays. Nothing is resumed: links are few, and each is to meet the certificates and authorities of its day. Thread-safe.
/// </remarks>
internal sealed class LinkTls : IDisposable
{
    private const byte HandshakeRecord = 0x16;

    private readonly LinkTlsOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly CertificateReload _reload;
    private volatile LinkCredentials _credentials;

    /// <summary>Reads the files and begins to watch them.</summary>
    /// <exception cref="CertificateException">Something is wrong with them; it names all of it.</exception>
    public LinkTls(LinkTlsOptions options, RoleMetrics metrics, LinkLog log)
    {
        _options = options;
        _metrics = metrics;
        _log = log;
        _credentials = Load();
        _reload = new CertificateReload(options.Files(), () => _credentials = Load(), OnReloaded);
    }

    /// <summary>Whether links are taken only with a certificate that is accepted.</summary>
    public bool WantsCertificates => _options is { Listens: true, Authorities: not null };

    /// <summary>Does the handshake on a connected socket. Takes as long as the other end does: closing the socket ends it.</summary>
    public async Task<TlsHandshakeResult> SecureAsync(Socket socket)
    {
        SecuredSocket? secured = null;
        string? objection = null;
        try
        {
            LinkCredentials credentials = _credentials;
            if (_options.Listens)
            {
                if (await FirstByteAsync(socket).ConfigureAwait(false) is not { } first)
                    return new TlsHandshakeResult(Failure: "ended by the other side", Abandoned: true);
                if (first != HandshakeRecord)
                    return new TlsHandshakeResult(Refusal: "links are taken over TLS only: set Ecm:Link:Tls");

                secured = new SecuredSocket(socket);
                await secured.AcceptAsync(ServerOptions(credentials, found => objection = found)).ConfigureAwait(false);
                return new TlsHandshakeResult(secured, Refusal: objection);
            }

            secured = new SecuredSocket(socket);
            await secured.ConnectAsync(ClientOptions(credentials, found => objection = found)).ConfigureAwait(false);
            return new TlsHandshakeResult(secured);
        }
        catch (Exception error)
        {
            // What is sent as a handshake can make SslStream throw nearly anything.
            secured?.Dispose();
            return new TlsHandshakeResult(Failure: objection is null ? WhyFailed(error, secured) : $"not accepted: {objection}");
        }
    }

    /// <summary>Reads the files again.</summary>
    public void Reload() => _reload.Reload();

    /// <summary>Watches no longer.</summary>
    public void Dispose() => _reload.Dispose();

    private LinkCredentials Load()
    {
        LinkCredentials credentials = LinkCredentials.Load(_options, DateTimeOffset.UtcNow);
        _metrics.LinkCertificates = credentials.Validity;
        return credentials;
    }

    private void OnReloaded(string? problems)
    {
        _metrics.AddLinkCertificateReload(succeeded: problems is null);
        if (problems is null) _log.CertificatesReloaded(_options.Section, _credentials.Validity.Min(file => file.NotAfter).UtcDateTime);
        else _log.CertificatesNotReloaded(_options.Section, problems);
    }

    private SslServerAuthenticationOptions ServerOptions(LinkCredentials credentials, Action<string?> judged)
    {
        SslServerAuthenticationOptions options = new()
        {
            ServerCertificateContext = credentials.Own,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            AllowRenegotiation = false,
            AllowTlsResume = false,
        };
        if (_options.Authorities is null) return options;

        options.ClientCertificateRequired = true;
        options.CertificateChainPolicy = credentials.PeerPolicy();
        options.RemoteCertificateValidationCallback = Judge(judged);
        return options;
    }

    private SslClientAuthenticationOptions ClientOptions(LinkCredentials credentials, Action<string?> judged) => new()
    {
        TargetHost = _options.PeerName,
        ClientCertificateContext = credentials.Own,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        AllowRenegotiation = false,
        AllowTlsResume = false,
        CertificateChainPolicy = credentials.PeerPolicy(),
        RemoteCertificateValidationCallback = Judge(judged),
    };

    /// <summary>Judges the other end's certificate.</summary>
    /// <remarks>
    /// Where links are taken, the handshake goes on after an objection, which is told when the other end says hello: in words, which
    /// are more than an alert, and which arrive in every version of TLS.
    /// </remarks>
    private RemoteCertificateValidationCallback Judge(Action<string?> judged) => (_, certificate, chain, errors) =>
    {
        string? objection = PeerCertificate.Objection(certificate, chain, errors, _options);
        judged(objection);
        return objection is null || _options.Listens;
    };

    /// <summary>Looks at the first byte that comes and leaves it where it is.</summary>
    /// <returns>Null when the other end has ended without any.</returns>
    private static async ValueTask<byte?> FirstByteAsync(Socket socket)
    {
        byte[] first = new byte[1];
        try
        {
            return await socket.ReceiveAsync(first, SocketFlags.Peek).ConfigureAwait(false) == 1 ? first[0] : null;
        }
        catch (SocketException)
        {
            // A reset, as some ask in this way whether a port is open.
            return null;
        }
    }

    private string WhyFailed(Exception error, SecuredSocket? secured)
    {
        if (secured is not { IsTruncated: true }) return $"the TLS handshake failed: {TlsFault.Describe(error)}";
        const string Went = "the other end went in the middle of the TLS handshake";
        return _options.Listens ? Went : $"{Went}; if it speaks plain, it needs Hub:Tls";
    }
}
