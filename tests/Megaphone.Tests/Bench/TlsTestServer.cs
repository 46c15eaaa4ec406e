using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Megaphone.Bench;

namespace Megaphone.Tests.Bench;

/// <summary>One connection to .NET's TLS server on loopback.</summary>
/// <param name="certificate">Its certificate and key; null: it ends the connection as soon as it is established.</param>
/// <param name="versions">The versions that it speaks.</param>
internal sealed class TlsTestServer(
    (string Certificate, string Key)? certificate, SslProtocols versions = SslProtocols.Tls12 | SslProtocols.Tls13) : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private SslStream? _stream;

    /// <summary>The server's end, once it is secured.</summary>
    public SslStream Stream => _stream!;

    /// <summary>Connects a client, and begins its TLS.</summary>
    /// <param name="options">The client's.</param>
    /// <param name="header">The stream header that its STARTTLS begins with; null: there is none.</param>
    /// <param name="dialogue">What the server receives and sends before TLS, in turn.</param>
    /// <returns>The client, secured or with a problem.</returns>
    public async Task<TlsTestClient> SecureAsync(TlsClientOptions options, string? header = null, params string[] dialogue)
    {
        _listener.Start();
        TlsTestClient client = new();
        Task serving = ServeAsync(dialogue);
        await client.SecureAsync((IPEndPoint)_listener.LocalEndpoint, options, header is null ? null : Encoding.UTF8.GetBytes(header));
        if (client.Problem is null) await BoundedWait.WithinAsync(serving, "the server's end of the handshake");
        return client;
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _listener.Dispose();
    }

    private async Task ServeAsync(string[] dialogue)
    {
        NetworkStream plain = new(await _listener.AcceptSocketAsync(), ownsSocket: true);
        _stream = new SslStream(plain);
        for (int i = 0; i < dialogue.Length; i += 2)
        {
            byte[] received = new byte[dialogue[i].Length];
            await plain.ReadExactlyAsync(received);
            Xunit.Assert.Equal(dialogue[i], Encoding.UTF8.GetString(received));
            await plain.WriteAsync(Encoding.UTF8.GetBytes(dialogue[i + 1]));
        }

        if (certificate is null)
        {
            await _stream.DisposeAsync();
            return;
        }

        using X509Certificate2 own = X509Certificate2.CreateFromPemFile(certificate.Value.Certificate, certificate.Value.Key);
        try
        {
            await _stream.AuthenticateAsServerAsync(own, clientCertificateRequired: false, versions, checkCertificateRevocation: false);
        }
        catch (Exception refused) when (refused is AuthenticationException or IOException)
        {
            // The client's problem says why.
        }
    }
}
