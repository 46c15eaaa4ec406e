using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Links;

/// <summary>Does the TLS handshakes of all links of one role, with the current certificates.</summary>
/// <remarks>
/// Certificates are reloaded when their files change, and used for new links. If they cannot be used, this is logged, and the
/// previous ones stay in use. Sessions are not resumed: links are few, and each shall be checked against current files. Thread-safe.
/// </remarks>
internal sealed class LinkTls : IDisposable
{
    private readonly LinkTlsOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly CertificateReload _reload;
    private volatile LinkCredentials _credentials;

    /// <summary>Reads the files and starts to watch them.</summary>
    /// <exception cref="CertificateException">They cannot be used; it lists all problems.</exception>
    public LinkTls(LinkTlsOptions options, RoleMetrics metrics, LinkLog log)
    {
        _options = options;
        _metrics = metrics;
        _log = log;
        _credentials = Load();
        _reload = new CertificateReload(options.Files(), () => _credentials = Load(), OnReloaded);
    }

    /// <summary>Whether links are accepted only with a certificate of one of the authorities.</summary>
    public bool RequiresCertificates => _options is { Listens: true, Authorities: not null };

    /// <summary>Does the handshake on a connected socket. It has no timeout: closing the socket ends it.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="host">The host that was connected to: the other end's certificate must cover it, unless the options name another.</param>
    public async Task<Result> SecureAsync(Socket socket, string? host = null)
    {
        SecuredSocket? secured = null;
        CertificateProblem? problem = null;
        try
        {
            LinkCredentials credentials = _credentials;
            if (_options.Listens)
            {
                if (await PeekFirstByteAsync(socket).ConfigureAwait(false) is not { } first)
                    return new Result(Failure: "ended by the other side", Abandoned: true);
                if (first != TlsRecord.Handshake)
                    return new Result(Refusal: "links require TLS here: set Ecm:Link:Tls");

                secured = new SecuredSocket(socket);
                await secured.AcceptAsync(ServerOptions(credentials, found => problem = found)).ConfigureAwait(false);
                return new Result(secured, Refusal: problem?.What);
            }

            secured = new SecuredSocket(socket);
            await secured.ConnectAsync(ClientOptions(credentials, _options.PeerName ?? host!, found => problem = found)).ConfigureAwait(false);
            return new Result(secured);
        }
        catch (Exception error)
        {
            // Malformed handshakes make SslStream throw nearly any exception.
            secured?.Dispose();
            return new Result(Failure: problem is null ? DescribeFailure(error, secured) : $"not accepted: {problem.What}", Fix: problem?.Fix);
        }
    }

    /// <summary>Reads the files again.</summary>
    public void Reload() => _reload.Reload();

    /// <summary>Stops watching the files.</summary>
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

    private SslServerAuthenticationOptions ServerOptions(LinkCredentials credentials, Action<CertificateProblem?> report)
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
        options.RemoteCertificateValidationCallback = Validate(report);
        return options;
    }

    private SslClientAuthenticationOptions ClientOptions(LinkCredentials credentials, string host, Action<CertificateProblem?> report) => new()
    {
        TargetHost = host,
        ClientCertificateContext = credentials.Own,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        AllowRenegotiation = false,
        AllowTlsResume = false,
        CertificateChainPolicy = credentials.PeerPolicy(),
        RemoteCertificateValidationCallback = Validate(report, host),
    };

    /// <summary>Validates the other end's certificate.</summary>
    /// <remarks>
    /// A listening end completes the handshake even if the certificate is not accepted, and answers the hello with the reason, which
    /// says more than an alert and arrives in every version of TLS.
    /// </remarks>
    private RemoteCertificateValidationCallback Validate(Action<CertificateProblem?> report, string? host = null) => (_, shown, chain, errors) =>
    {
        CertificateProblem? problem = PeerCertificate.FindProblem(shown, chain, errors, _options, host);
        report(problem);
        return problem is null || _options.Listens;
    };

    /// <summary>Reads the first byte without consuming it.</summary>
    /// <returns>Null when the other end has ended without sending one.</returns>
    private static async ValueTask<byte?> PeekFirstByteAsync(Socket socket)
    {
        byte[] first = new byte[1];
        try
        {
            return await socket.ReceiveAsync(first, SocketFlags.Peek).ConfigureAwait(false) == 1 ? first[0] : null;
        }
        catch (SocketException)
        {
            // A reset, as from a port scan.
            return null;
        }
    }

    private string DescribeFailure(Exception error, SecuredSocket? secured)
    {
        if (secured is not { IsTruncated: true }) return $"the TLS handshake failed: {TlsFault.Describe(error)}";
        const string Ended = "the other end ended the connection in the middle of the TLS handshake";
        return _options.Listens ? Ended : $"{Ended}; if it does not use TLS, set Hub:Tls there";
    }

    /// <summary>The result of a link's TLS handshake.</summary>
    /// <param name="Secured">The TLS stream, if the handshake succeeded.</param>
    /// <param name="Refusal">Why the listening end refuses the link nevertheless: its hello is answered with this reason, and
    /// nothing else is accepted from it. Without <paramref name="Secured"/> it does not speak TLS.</param>
    /// <param name="Failure">Why the handshake failed.</param>
    /// <param name="Abandoned">With a failure: the other end had not sent anything.</param>
    /// <param name="Fix">With a failure: what to do about it, where this end can know.</param>
    internal readonly record struct Result(
        SecuredSocket? Secured = null, string? Refusal = null, string? Failure = null, bool Abandoned = false, string? Fix = null);
}
