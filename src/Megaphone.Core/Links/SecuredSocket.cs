using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Megaphone.Links;

/// <summary>TLS over a link's socket.</summary>
/// <remarks>One thread may receive while another sends. Closing the socket ends both.</remarks>
internal sealed class SecuredSocket : IDisposable
{
    private readonly Records _records;
    private readonly SslStream _tls;
    private readonly Lock _ending = new();
    private Task? _ended;

    /// <summary>Wraps a connected socket, which stays its owner's.</summary>
    public SecuredSocket(Socket socket)
    {
        _records = new Records(socket);
        _tls = new SslStream(_records);
    }

    /// <summary>The negotiated version, for the log.</summary>
    public string Version => _tls.SslProtocol == SslProtocols.Tls13 ? "TLS 1.3" : "TLS 1.2";

    /// <summary>Until when the certificate is valid that the other end has shown; null: it has shown none.</summary>
    public DateTimeOffset? PeerNotAfter => _tls.RemoteCertificate is X509Certificate2 certificate ? certificate.NotAfter : null;

    /// <summary>Whether the connection ended without TLS's <c>close_notify</c>: the received data may be incomplete.</summary>
    public bool IsTruncated => _records.HasEnded;

    /// <summary>Does the handshake as the TLS server.</summary>
    public async Task AcceptAsync(SslServerAuthenticationOptions options)
    {
        await _tls.AuthenticateAsServerAsync(options).ConfigureAwait(false);
        _records.IsHandshaking = false;
    }

    /// <summary>Does the handshake as the TLS client.</summary>
    public async Task ConnectAsync(SslClientAuthenticationOptions options)
    {
        await _tls.AuthenticateAsClientAsync(options).ConfigureAwait(false);
        _records.IsHandshaking = false;
    }

    /// <returns>Bytes received; 0 at the end.</returns>
    /// <exception cref="IOException">The socket failed, or what arrived is not TLS.</exception>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer) => _tls.ReadAsync(buffer);

    /// <summary>Sends all of it, blocking while the kernel accepts no more.</summary>
    /// <exception cref="IOException">The socket failed, or was closed.</exception>
    public void Send(ReadOnlySpan<byte> bytes) => _tls.Write(bytes);

    /// <summary>Sends all of it, without blocking a thread. No other send may be under way.</summary>
    /// <param name="bytes">What to send.</param>
    /// <param name="atMost">The longest wait for the kernel.</param>
    /// <exception cref="IOException">The socket failed, or was closed.</exception>
    /// <exception cref="TimeoutException">The other end does not read.</exception>
    public Task SendAsync(ReadOnlyMemory<byte> bytes, TimeSpan atMost) => _tls.WriteAsync(bytes).AsTask().WaitAsync(atMost);

    /// <summary>Declares that nothing more will be received.</summary>
    public void EndReceiving() => _records.Unlock();

    /// <summary>Sends <c>close_notify</c>, once, however often it is called: nothing more is sent. No send may be under way.</summary>
    /// <param name="atMost">The longest wait for the receiver, and again for the kernel.</param>
    public Task EndSendingAsync(TimeSpan atMost)
    {
        // Otherwise a second caller would close the socket before the first has sent it.
        lock (_ending) return _ended ??= SendCloseNotifyAsync(atMost);
    }

    /// <inheritdoc/>
    public void Dispose() => _tls.Dispose();

    private async Task SendCloseNotifyAsync(TimeSpan atMost)
    {
        if (!await _records.LockAsync(atMost).ConfigureAwait(false)) return;
        try
        {
            Task sending;
            try
            {
                sending = _tls.ShutdownAsync();
            }
            finally
            {
                _records.Unlock();
            }

            await sending.WaitAsync(atMost).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException or TimeoutException)
        {
            // The connection is gone, or the other end does not read: close_notify cannot arrive.
        }
    }

    /// <summary>The stream below TLS, with a lock that keeps receiving and the end of sending apart.</summary>
    /// <remarks>
    /// <see cref="SslStream.ShutdownAsync"/> takes no lock against a receive that is decrypting, and the two use one OpenSSL
    /// object. So its user holds a lock: the receiver, except while it waits for the socket.
    /// </remarks>
    private sealed class Records(Socket socket) : NetworkStream(socket, ownsSocket: false)
    {
        // Held by the handshake, and then by the receiver.
        private readonly SemaphoreSlim _lock = new(0, 1);

        /// <summary>Whether the handshake is under way.</summary>
        public bool IsHandshaking { get; set; } = true;

        /// <summary>Whether the other end has ended the connection.</summary>
        public bool HasEnded { get; private set; }

        public Task<bool> LockAsync(TimeSpan atMost) => _lock.WaitAsync(atMost);

        public void Unlock() => _lock.Release();

        /// <inheritdoc/>
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            // SslStream reads zero bytes before each record, to wait without a buffer: another system call for each.
            if (buffer.IsEmpty) return 0;

            Unlock();
            int count;
            try
            {
                count = await base.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await _lock.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            }

            if (count == 0) HasEnded = true;

            // A handshake computes for milliseconds, for which other links on the socket engine's thread must not wait.
            if (IsHandshaking) await Task.Yield();
            return count;
        }
    }
}
