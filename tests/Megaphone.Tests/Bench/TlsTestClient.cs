using System.Net;
using System.Net.Sockets;
using Megaphone.Bench;
using Megaphone.Tests.Tls;
using Megaphone.Tls;

namespace Megaphone.Tests.Bench;

/// <summary>A connection that <see cref="TlsHandshakes"/> secures, and whose records are opened and sealed here afterwards.</summary>
internal sealed class TlsTestClient : IDisposable
{
    private TlsConnectionState _tls;
    private Socket? _socket;

    /// <summary>Why it could not be secured; null: it was.</summary>
    public string? Problem { get; private set; }

    /// <summary>Connects, and waits until the connection is secured or has failed.</summary>
    public async Task SecureAsync(IPEndPoint to, TlsClientOptions options, byte[]? header)
    {
        Socket connected = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await connected.ConnectAsync(to);
        connected.Blocking = false;
        int descriptor = (int)connected.Handle;
        connected.SafeHandle.SetHandleAsInvalid();

        using TlsClientContext context = new(options);
        using TlsHandshakes handshakes = new(context, header, maxPending: 4);
        handshakes.Begin(7, descriptor);
        Xunit.Assert.Equal(1, handshakes.Pending);
        bool hasEnded = false;
        await BoundedWait.UntilAsync(
            () =>
            {
                handshakes.Poll(OnEnded);
                return hasEnded;
            },
            "the client is secured, or has a problem");
        Xunit.Assert.Equal(0, handshakes.Pending);

        void OnEnded(int index, int socket, ref TlsConnectionState tls, string? problem)
        {
            Xunit.Assert.Equal(7, index);
            Xunit.Assert.Equal(problem is null, socket >= 0);
            (hasEnded, Problem, _tls) = (true, problem, tls);
            if (socket >= 0) _socket = new Socket(new SafeSocketHandle(socket, ownsHandle: true)) { Blocking = true };
        }
    }

    public void Send(byte[] data) => _socket!.Send(TlsEnds.Seal(ref _tls, data));

    /// <summary>Receives as many bytes of data.</summary>
    public async Task<byte[]> ReceiveAsync(int count)
    {
        List<byte> data = [], received = [];
        byte[] buffer = new byte[4096];
        while (data.Count < count)
        {
            received.AddRange(buffer[..await BoundedWait.WithinAsync(_socket!.ReceiveAsync(buffer), "data from the server")]);
            while (received.Count > 0)
            {
                byte[] waiting = [.. received];
                OpenedRecord record = TlsRecordReader.Open(ref _tls, waiting);
                if (record.Kind == OpenedRecordKind.Incomplete) break;
                Xunit.Assert.Contains(record.Kind, new[] { OpenedRecordKind.Data, OpenedRecordKind.Nothing });
                data.AddRange(waiting.AsSpan(record.DataStart, record.DataLength));
                received.RemoveRange(0, record.Length);
            }
        }

        return [.. data];
    }

    public void Dispose()
    {
        _socket?.Dispose();
        _tls.Release();
    }
}
