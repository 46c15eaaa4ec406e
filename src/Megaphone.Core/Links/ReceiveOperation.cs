using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Megaphone.Links;

/// <summary>A <see cref="SocketAsyncEventArgs"/> that can be awaited, pooled and reused by links.</summary>
/// <remarks>
/// One receive at a time. The continuation runs on the thread that completes the receive. It is its own awaiter: a general task source
/// takes some 350 instructions more for a receive that has to wait.
/// </remarks>
internal sealed class ReceiveOperation : SocketAsyncEventArgs, ICriticalNotifyCompletion
{
    private const int MaxPooled = 64;
    private static readonly ConcurrentBag<ReceiveOperation> Pool = [];
    private static readonly Action Done = () => { };

    /// <summary>Null while a receive is under way that is not awaited yet, <see cref="Done"/> when there is none.</summary>
    private Action? _continuation = Done;

    // No execution context flows into a completion: nothing here reads one, and capturing it costs.
    private ReceiveOperation()
        : base(true)
    {
    }

    /// <summary>Whether there is an <see cref="Outcome"/>.</summary>
    public bool IsCompleted => ReferenceEquals(Volatile.Read(ref _continuation), Done);

    /// <summary>
    /// The result of the last receive: bytes; 0 when the peer has ended; -1 when the socket failed, with
    /// <see cref="SocketAsyncEventArgs.SocketError"/>.
    /// </summary>
    public int Outcome => SocketError == SocketError.Success ? BytesTransferred : -1;

    /// <summary>Rents one from the pool.</summary>
    public static ReceiveOperation Rent() => Pool.TryTake(out ReceiveOperation? operation) ? operation : new ReceiveOperation();

    /// <summary>Returns this one to the pool. No receive may be under way.</summary>
    public void Return()
    {
        SetBuffer(null, 0, 0);
        if (Pool.Count < MaxPooled) Pool.Add(this);
        else Dispose();
    }

    /// <summary>Receives into a part of an array, which must not be touched until the operation is completed. It may be at once.</summary>
    public ReceiveOperation Receive(Socket socket, byte[] buffer, int offset, int count)
    {
        if (!ReferenceEquals(Buffer, buffer)) SetBuffer(buffer, offset, count);
        else if (Offset != offset || Count != count) SetBuffer(offset, count);

        Volatile.Write(ref _continuation, null);
        if (!socket.ReceiveAsync(this)) Volatile.Write(ref _continuation, Done);
        return this;
    }

    /// <summary>For <c>await</c>.</summary>
    public ReceiveOperation GetAwaiter() => this;

    /// <summary>For <c>await</c>: the <see cref="Outcome"/>.</summary>
    public int GetResult() => Outcome;

    /// <inheritdoc/>
    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    /// <inheritdoc/>
    public void UnsafeOnCompleted(Action continuation)
    {
        // Completed meanwhile, on another thread: continue, but not on top of this stack.
        if (Interlocked.CompareExchange(ref _continuation, continuation, null) is not null)
            ThreadPool.UnsafeQueueUserWorkItem(static go => go(), continuation, preferLocal: false);
    }

    /// <inheritdoc/>
    protected override void OnCompleted(SocketAsyncEventArgs e) => Interlocked.Exchange(ref _continuation, Done)?.Invoke();
}
