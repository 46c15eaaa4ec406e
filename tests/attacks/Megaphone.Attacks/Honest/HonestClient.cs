using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Megaphone.Attacks;

/// <summary>A client that does no harm: it says something, and waits until that has arrived.</summary>
internal abstract class HonestClient : IDisposable
{
    private protected HonestClient(Stream stream) => Stream = stream;

    /// <summary>TCP, or TLS on it.</summary>
    private protected Stream Stream { get; }

    /// <summary>Connects, and logs in where the server requires it.</summary>
    /// <param name="target">The processes to connect to.</param>
    /// <param name="number">From 0 on. Every second one speaks TLS, every fourth TLS 1.2.</param>
    public static async Task<HonestClient> ConnectAsync(Target target, int number)
    {
        bool tls = number % 2 == 1;
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Stream? stream = null;
        try
        {
            IPEndPoint to = tls ? target.TlsClients : target.Clients;
            await BoundedWait.WithinAsync(socket.ConnectAsync(to), $"a connection to {to}");
            stream = new NetworkStream(socket, ownsSocket: true);
            if (tls) stream = await SecureAsync(stream, number % 4 == 1 ? SslProtocols.Tls13 : SslProtocols.Tls12, target.Authority);
            return target.Scene.Server != Server.Echo
                ? await XmppHonestClient.LogInAsync(stream)
                : new EchoHonestClient(stream, number);
        }
        catch
        {
            socket.Dispose();
            if (stream is not null) await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Has two clients say what they say to each other, if they have others to talk to.</summary>
    public static void Pair(HonestClient one, HonestClient other)
    {
        if (one is XmppHonestClient first && other is XmppHonestClient second) XmppHonestClient.Pair(first, second);
    }

    /// <summary>Says something, and waits until that has arrived: a message at the client's partner, or what comes back.</summary>
    /// <exception cref="Exception">Any: it does not arrive, or not as it was.</exception>
    public abstract Task SayAsync();

    /// <inheritdoc/>
    public virtual void Dispose() => Stream.Dispose();

    private static async Task<Stream> SecureAsync(Stream stream, SslProtocols version, X509Certificate2 authority)
    {
        SslClientAuthenticationOptions options = new()
        {
            TargetHost = "localhost",
            EnabledSslProtocols = version,
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                CustomTrustStore = { authority },
            },
        };
        SslStream tls = new(stream);
        await BoundedWait.WithinAsync(tls.AuthenticateAsClientAsync(options), "an honest client's handshake");
        return tls;
    }
}
