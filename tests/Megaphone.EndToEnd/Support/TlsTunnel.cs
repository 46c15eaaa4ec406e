using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Megaphone.EndToEnd.Support;

/// <summary>
/// Takes connections in the clear on a port of its own and carries each on over TLS: so that what plays an ECM need not know of it.
/// </summary>
/// <remarks>A connection for which TLS cannot be had is closed.</remarks>
internal sealed class TlsTunnel : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentBag<IDisposable> _connections = [];
    private readonly IPEndPoint _to;
    private readonly SslClientAuthenticationOptions _options;

    /// <summary>Begins.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="certificates">The authority that must have issued the other end's certificate.</param>
    /// <param name="own">The certificate to show, if any.</param>
    /// <param name="version">The only version that is spoken.</param>
    public TlsTunnel(IPEndPoint to, TestCertificates certificates, X509Certificate2? own = null, SslProtocols version = SslProtocols.Tls13)
    {
        _to = to;
        _options = new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            EnabledSslProtocols = version,
            ClientCertificates = own is null ? [] : [own],
            // Sent whichever authorities the other end names.
            LocalCertificateSelectionCallback = own is null ? null : (_, _, _, _, _) => own,
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(certificates.AuthorityFile) },
            },
        };
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>The port of its own.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>The serial number of the certificate that the other end has shown last.</summary>
    public string? Serial { get; private set; }

    /// <summary>Why TLS could not be had, the last time that it could not.</summary>
    public string? Fault { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        foreach (IDisposable connection in _connections) connection.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = CarryAsync(await _listener.AcceptAsync());
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The end of the test.
        }
    }

    private async Task CarryAsync(Socket accepted)
    {
        accepted.NoDelay = true;
        using NetworkStream here = new(accepted, ownsSocket: true);
        Socket connected = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _connections.Add(here);
        _connections.Add(connected);
        try
        {
            await connected.ConnectAsync(_to);
            using SslStream there = new(new NetworkStream(connected, ownsSocket: true));
            await there.AuthenticateAsClientAsync(_options);
            Serial = there.RemoteCertificate?.GetSerialNumberString();
            await Task.WhenAny(PassOnAsync(here, there), PassOnAsync(there, here));
        }
        catch (Exception fault) when (fault is AuthenticationException or IOException or SocketException or ObjectDisposedException)
        {
            Fault = fault.Message;
        }
    }

    /// <summary>Until the one that is read has ended, or one of them is broken.</summary>
    private static async Task PassOnAsync(Stream from, Stream to)
    {
        try
        {
            await from.CopyToAsync(to);
            if (to is SslStream tls) await tls.ShutdownAsync();
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException)
        {
            // The other end gets the end of the connection.
        }
    }
}
