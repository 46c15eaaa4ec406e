using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;

namespace Megaphone.Links;

/// <summary>TLS on a link's socket: what a link receives and sends through, where it speaks TLS.</summary>
/// <remarks>One receives and one sends at the same time. Closing the socket ends both.</remarks>
internal sealed class SecuredSocket : IDisposable
{
    private readonly Records _records;
    private readonly SslStream _tls;
    private readonly Lock _ending = new();
    private Task? _ended;

    /// <summary>Takes a connected socket, which stays its owner's.</summary>
    public SecuredSocket(Socket socket)
    {
        _records = new Records(socket);
        _tls = new SslStream(_records);
    }

    /// <summary>The version that was agreed on, for people.</summary>
    public string Version => _tls.SslProtocol == SslProtocols.Tls13 ? "TLS 1.3" : "TLS 1.2";

    /// <summary>Whether the connection ended without TLS's <c>close_notify</c>: what came may not be all that was sent.</summary>
    public bool IsTruncated => _records.HaveEnded;

    /// <summary>Does the handshake as the server of TLS.</summary>
    public async Task AcceptAsync(SslServerAuthenticationOptions options)
    {
        await _tls.AuthenticateAsServerAsync(options).ConfigureAwait(false);
        _records.AreOfHandshake = false;
    }

    /// <summary>Does the handshake as the client of TLS.</summary>
    public async Task ConnectAsync(SslClientAuthenticationOptions options)
    {
        await _tls.AuthenticateAsClientAsync(options).ConfigureAwait(false);
        _records.AreOfHandshake = false;
    }

    /// <summary>Receives.</summary>
    /// <returns>Bytes received; 0 when nothing more comes.</returns>
    /// <exception cref="IOException">The socket failed, or what came is no TLS.</exception>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer) => _tls.ReadAsync(buffer);

    /// <summary>Sends all of it, waiting for the kernel as need be.</summary>
    /// <exception cref="IOException">The socket failed, or was closed.</exception>
    public void Send(ReadOnlySpan<byte> bytes) => _tls.Write(bytes);

    /// <summary>Sends all of it, without holding a thread. Nobody else may be sending.</summary>
    /// <param name="bytes">What to send.</param>
    /// <param name="atMost">The longest wait for the kernel.</param>
    /// <exception cref="IOException">The socket failed, or was closed.</exception>
    /// <exception cref="TimeoutException">The other end does not read.</exception>
    public Task SendAsync(ReadOnlyMemory<byte> bytes, TimeSpan atMost) => _tls.WriteAsync(bytes).AsTask().WaitAsync(atMost);

    /// <summary>Nobody receives any more.</summary>
    public void EndReceiving() => _records.Leave();

    /// <summary>Says <c>close_notify</c>, once, whoever asks how often: nothing more is sent. Nobody may be sending.</summary>
    /// <param name="atMost">The longest wait for the receiver, and again for the kernel.</param>
    public Task EndSendingAsync(TimeSpan atMost)
    {
        // Who comes second would close the socket before the first has said it.
        lock (_ending) return _ended ??= SayEndAsync(atMost);
    }

    /// <inheritdoc/>
    public void Dispose() => _tls.Dispose();

    private async Task SayEndAsync(TimeSpan atMost)
    {
        if (!await _records.EnterAsync(atMost).ConfigureAwait(false)) return;
        try
        {
            Task sending;
            try
            {
                sending = _tls.ShutdownAsync();
            }
            finally
            {
                _records.Leave();
            }

            await sending.WaitAsync(atMost).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException or TimeoutException)
        {
            // The connection is gone, or nobody reads at its other end: there is nobody to be told.
        }
    }

    /// <summary>The records below TLS; it keeps receiving and the end of sending apart.</summary>
    /// <remarks>
    /// <see cref="SslStream.ShutdownAsync"/> takes no lock against a receive that is decrypting, and the two use one OpenSSL
    /// object. So whoever works with that holds a turn: the receiver, except while it waits for the socket.
    /// </remarks>
    private sealed class Records(Socket socket) : NetworkStream(socket, ownsSocket: false)
    {
        // The handshake, and then the receiver, have it.
        private readonly SemaphoreSlim _turn = new(0, 1);

        /// <summary>Whether the handshake is under way.</summary>
        public bool AreOfHandshake { get; set; } = true;

        /// <summary>Whether the other end has ended the connection.</summary>
        public bool HaveEnded { get; private set; }

        public Task<bool> EnterAsync(TimeSpan atMost) => _turn.WaitAsync(atMost);

        public void Leave() => _turn.Release();

        /// <inheritdoc/>
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            // SslStream asks for nothing before each record, so as to wait without a buffer: another system call for each.
            if (buffer.IsEmpty) return 0;

            Leave();
            int count;
            try
            {
                count = await base.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await _turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            }

            if (count == 0) HaveEnded = true;

            // What a handshake computes takes milliseconds, for which other links on the socket engine's thread are not to wait.
            if (AreOfHandshake) await Task.Yield();
            return count;
        }
    }
}
