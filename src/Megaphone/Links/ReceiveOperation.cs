using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Megaphone.Links;

/// <summary>A <see cref="SocketAsyncEventArgs"/> that can be awaited, and is used again by one link after another.</summary>
/// <remarks>One receive at a time. A continuation runs where the receive completes.</remarks>
internal sealed class ReceiveOperation : SocketAsyncEventArgs, IValueTaskSource<int>
{
    private const int MaxPooled = 64;
    private static readonly ConcurrentBag<ReceiveOperation> Pool = [];

    private ManualResetValueTaskSourceCore<int> _source;

    // No execution context flows into a completion: nothing here reads one, and capturing it costs.
    private ReceiveOperation()
        : base(true)
    {
    }

    /// <summary>Takes one from the pool.</summary>
    public static ReceiveOperation Rent() => Pool.TryTake(out ReceiveOperation? operation) ? operation : new ReceiveOperation();

    /// <summary>Gives this one back. No receive may be under way.</summary>
    public void Return()
    {
        SetBuffer(null, 0, 0);
        if (Pool.Count < MaxPooled) Pool.Add(this);
        else Dispose();
    }

    /// <summary>Receives into a part of an array, which must not be touched until then.</summary>
    /// <returns>Bytes received; 0 when the peer has ended; -1 when the socket failed, with <see cref="SocketAsyncEventArgs.SocketError"/>.</returns>
    public ValueTask<int> ReceiveAsync(Socket socket, byte[] buffer, int offset, int count)
    {
        _source.Reset();
        SetBuffer(buffer, offset, count);
        return socket.ReceiveAsync(this) ? new ValueTask<int>(this, _source.Version) : new ValueTask<int>(Outcome());
    }

    /// <inheritdoc/>
    public int GetResult(short token) => _source.GetResult(token);

    /// <inheritdoc/>
    public ValueTaskSourceStatus GetStatus(short token) => _source.GetStatus(token);

    /// <inheritdoc/>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    /// <inheritdoc/>
    protected override void OnCompleted(SocketAsyncEventArgs e) => _source.SetResult(Outcome());

    private int Outcome() => SocketError == SocketError.Success ? BytesTransferred : -1;
}
