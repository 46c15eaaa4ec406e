using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Megaphone.Links;

namespace Megaphone.Tests.Links;

/// <summary>The two ends of one TLS connection over loopback.</summary>
internal sealed class SecuredPair : IDisposable
{
    private readonly SocketPair _sockets;
    private readonly TestAuthority _authority = new();

    private SecuredPair(int bufferBytes)
    {
        _sockets = new SocketPair(bufferBytes);
        Secured = new SecuredSocket(_sockets.Ours);
        Peer = new SslStream(new NetworkStream(_sockets.Peer));
    }

    /// <summary>The socket of the end under test.</summary>
    public Socket Ours => _sockets.Ours;

    /// <summary>The end under test.</summary>
    public SecuredSocket Secured { get; }

    /// <summary>The other end.</summary>
    public SslStream Peer { get; }

    public static async Task<SecuredPair> ConnectAsync(int bufferBytes = 0)
    {
        SecuredPair pair = new(bufferBytes);
        (string Certificate, string Key) files = pair._authority.Issue("localhost", "localhost");
        SslServerAuthenticationOptions accepting = new() { ServerCertificate = X509Certificate2.CreateFromPemFile(files.Certificate, files.Key) };
        SslClientAuthenticationOptions connecting = new() { TargetHost = "localhost", CertificateChainPolicy = Trusting(pair._authority) };
        await BoundedWait.WithinAsync(
            Task.WhenAll(pair.Secured.AcceptAsync(accepting), pair.Peer.AuthenticateAsClientAsync(connecting)), "the handshake");
        return pair;
    }

    public static X509ChainPolicy Trusting(TestAuthority authority)
    {
        X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(authority.File);
        return policy;
    }

    public void Dispose()
    {
        Secured.Dispose();
        Peer.Dispose();
        _sockets.Dispose();
        _authority.Dispose();
    }
}
