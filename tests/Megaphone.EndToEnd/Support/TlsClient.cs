using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Megaphone.EndToEnd.Support;

/// <summary>A client of the ECM that speaks TLS, in a test's hands.</summary>
internal sealed class TlsClient : IDisposable
{
    private readonly Socket _socket;
    private readonly SslStream _stream;

    private TlsClient(Socket socket)
    {
        _socket = socket;
        _stream = new SslStream(new NetworkStream(socket, ownsSocket: false), leaveInnerStreamOpen: true, (_, certificate, _, _) =>
        {
            // Which one it is shown is what tests are about; that its authority is unknown here is not.
            Serial = (certificate as X509Certificate2)?.SerialNumber;
            return Serial is not null;
        });
    }

    /// <summary>The serial number of the certificate that it was shown.</summary>
    public string? Serial { get; private set; }

    /// <summary>The TLS in it.</summary>
    public SslStream Stream => _stream;

    /// <summary>The TCP connection.</summary>
    public Socket Socket => _socket;

    /// <summary>Connects, and makes the handshake at once.</summary>
    public static async Task<TlsClient> ConnectAsync(
        IPEndPoint to, string host = "localhost", SslProtocols version = SslProtocols.None, string? alpn = "xmpp-client")
    {
        TlsClient client = await ConnectPlainAsync(to);
        try
        {
            await client.HandshakeAsync(host, version, alpn);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>Connects and sends nothing.</summary>
    public static async Task<TlsClient> ConnectPlainAsync(IPEndPoint to)
    {
        Socket socket = new(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await BoundedWait.WithinAsync(socket.ConnectAsync(to), $"a connection to {to}");
        return new TlsClient(socket);
    }

    /// <summary>Makes the handshake.</summary>
    public Task HandshakeAsync(string host = "localhost", SslProtocols version = SslProtocols.None, string? alpn = null) =>
        BoundedWait.WithinAsync(
            _stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = host,
                EnabledSslProtocols = version,
                ApplicationProtocols = alpn is null ? null : [new SslApplicationProtocol(alpn)],
            }),
            "a handshake");

    /// <summary>Sends text in the clear.</summary>
    public async Task SendPlainAsync(string text) => await BoundedWait.WithinAsync(_socket.SendAsync(Encoding.ASCII.GetBytes(text)), "room to send");

    /// <summary>Reads text in the clear until it ends so.</summary>
    public async Task<string> ReceivePlainAsync(string end)
    {
        StringBuilder all = new();
        byte[] one = new byte[1];
        while (!all.ToString().EndsWith(end, StringComparison.Ordinal))
        {
            int read = await BoundedWait.WithinAsync(_socket.ReceiveAsync(one), $"{end} behind {all}");
            Assert.True(read > 0, $"The connection ended before {end}, behind {all}");
            all.Append((char)one[0]);
        }

        return all.ToString();
    }

    /// <summary>Asserts that the other end ends the connection, in the clear, with nothing before it.</summary>
    public async Task AssertEndsPlainAsync()
    {
        int read = await BoundedWait.WithinAsync(_socket.ReceiveAsync(new byte[1]), "the end");
        Assert.Equal(0, read);
    }

    /// <summary>Sends bytes.</summary>
    public Task SendAsync(ReadOnlyMemory<byte> bytes) => BoundedWait.WithinAsync(_stream.WriteAsync(bytes).AsTask(), "room to send");

    /// <summary>Sends text.</summary>
    public Task SendAsync(string text) => SendAsync(Encoding.ASCII.GetBytes(text));

    /// <summary>Reads exactly so many bytes.</summary>
    public async Task<byte[]> ReceiveAsync(int count)
    {
        byte[] bytes = new byte[count];
        await BoundedWait.WithinAsync(_stream.ReadExactlyAsync(bytes).AsTask(), $"{count} bytes");
        return bytes;
    }

    /// <summary>Reads so many characters.</summary>
    public async Task<string> ReceiveTextAsync(int count) => Encoding.ASCII.GetString(await ReceiveAsync(count));

    /// <summary>Sends something to an echo and asserts that it is returned.</summary>
    public async Task AssertEchoesAsync(string text = "is anybody there?")
    {
        await SendAsync(text);
        Assert.Equal(text, await ReceiveTextAsync(text.Length));
    }

    /// <summary>Asserts that the other end ends TLS in order, and then TCP, with nothing before it.</summary>
    public async Task AssertEndsAsync()
    {
        Assert.Equal(0, await BoundedWait.WithinAsync(_stream.ReadAsync(new byte[1]).AsTask(), "close_notify"));
        Assert.Equal(0, await BoundedWait.WithinAsync(_socket.ReceiveAsync(new byte[1]), "the end"));
    }

    /// <summary>Asserts that the connection was closed or reset.</summary>
    public async Task AssertIsGoneAsync()
    {
        byte[] some = new byte[4096];
        try
        {
            while (await BoundedWait.WithinAsync(_socket.ReceiveAsync(some), "the end") > 0)
            {
                // An alert, or data that was under way.
            }
        }
        catch (SocketException)
        {
            // A reset.
        }
    }

    /// <summary>Ends this direction with close_notify; the other one stays.</summary>
    public Task EndSendingAsync() => BoundedWait.WithinAsync(_stream.ShutdownAsync(), "close_notify to be sent");

    /// <inheritdoc/>
    public void Dispose()
    {
        _stream.Dispose();
        _socket.Dispose();
    }
}
