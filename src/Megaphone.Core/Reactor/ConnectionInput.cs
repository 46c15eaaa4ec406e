using System.Diagnostics;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>Receives from the connections of one reactor, one at a time, when their handler asks for it. For the reactor's thread.</summary>
internal sealed unsafe class ConnectionInput<TState>(
    ConnectionTable<TState> table, IConnectionHandler<TState> handler, EpollInterest interest, Arrivals<TState> arrivals, TlsInput<TState> tls)
    : IConnectionInput, IDisposable
    where TState : unmanaged
{
    private const int BufferBytes = 64 << 10;

    private readonly byte* _buffer = (byte*)NativeMemory.Alloc(BufferBytes);
    private readonly OpenSslInput _openSsl = new(interest);

    // What the handler that is being called has received: of which connection, and how that came out, without TLS or with.
    private ConnectionId _id;
    private int _asked;
    private nint _count;
    private int _errno;
    private TlsInputResult _tlsResult;

    /// <summary>What the reactor is to do after a read.</summary>
    public enum Next
    {
        /// <summary>Nothing: epoll will tell when there is more.</summary>
        Wait,

        /// <summary>Read on when others have had their turn: epoll will not tell.</summary>
        ReadOn,

        /// <summary>Ask the handler again when it has room.</summary>
        Stall,

        /// <summary>Read no more: the handler wants nothing.</summary>
        Pause,

        /// <summary>Ask the handler again when it has released the connection.</summary>
        Hold,

        /// <summary>The peer has ended its direction.</summary>
        EndRead,

        /// <summary>Close the connection, for the reason given.</summary>
        Close,
    }

    /// <summary>Has the handler receive.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="slot">Its slot; the gate is not held.</param>
    /// <param name="isMoreBehind">Whether epoll has said that there is something behind what one receive takes.</param>
    public Result Read(ConnectionId id, ref ConnectionSlot slot, bool isMoreBehind)
    {
        (_id, _asked, _count, _errno) = (id, 0, 0, 0);
        Outcome outcome = handler.OnReadable(id, slot.Owner, ref table.State(id.Slot), this);

        // Whatever the handler makes of what came before the fault.
        if (_asked > 0 && slot.Is(ConnectionFlags.Secured) && _tlsResult.Status == TlsStatus.Failed)
            return new Result(Next.Close, CloseReason.TlsError);
        switch (outcome)
        {
            case Outcome.WouldBlock: return new Result(Next.Stall);
            case Outcome.Closed: return new Result(Next.Pause);
            case Outcome.Held: return new Result(Next.Hold);
            default:
                Debug.Assert(_asked > 0, "A handler that has room receives once.");
                return slot.Is(ConnectionFlags.Secured) ? AfterTls(id, ref slot, isMoreBehind) : AfterReceive(id, ref slot, isMoreBehind);
        }
    }

    /// <inheritdoc/>
    bool IConnectionInput.IsAdmitted => table.Slot(_id.Slot).Is(ConnectionFlags.Admitted);

    /// <inheritdoc/>
    void IConnectionInput.RenewDeadline() => arrivals.Renew(_id);

    /// <inheritdoc/>
    Span<byte> IConnectionInput.Receive(int mostBytes)
    {
        _asked = Math.Min(mostBytes, BufferBytes);
        Span<byte> into = new(_buffer, _asked);
        ref ConnectionSlot slot = ref table.Slot(_id.Slot);
        if (slot.Is(ConnectionFlags.Secured))
        {
            _tlsResult = slot.Is(ConnectionFlags.OpenSslRecords)
                ? _openSsl.Receive(_id, ref slot, ref table.OpenSsl(_id.Slot), into)
                : tls.Receive(_id, ref slot, into);
            return into[.._tlsResult.Count];
        }

        _count = Libc.Receive(slot.Descriptor, _buffer, (nuint)_asked, Libc.MsgDontWait);
        if (_count < 0) _errno = Marshal.GetLastPInvokeError();
        return into[..(int)Math.Max(0, _count)];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _openSsl.Dispose();
        tls.Dispose();
        NativeMemory.Free(_buffer);
    }

    private Result AfterReceive(ConnectionId id, ref ConnectionSlot slot, bool isMoreBehind)
    {
        if (_count <= 0 && _errno is not (Errno.TryAgain or Errno.Interrupted))
            return _errno == 0 ? new Result(Next.EndRead) : new Result(Next.Close, SocketErrors.ReasonFor(_errno));

        // Otherwise less than asked for is all there was; epoll speaks up by itself when more comes.
        return WaitForMore(id, ref slot, mayBeMore: _count == _asked || isMoreBehind || _errno == Errno.Interrupted);
    }

    private Result AfterTls(ConnectionId id, ref ConnectionSlot slot, bool isMoreBehind) => _tlsResult.Status switch
    {
        TlsStatus.Ended => _tlsResult.EndsBoth ? new Result(Next.Close, CloseReason.Ended) : new Result(Next.EndRead),
        TlsStatus.Truncated => new Result(Next.Close, CloseReason.Truncated),
        TlsStatus.Failed => new Result(Next.Close, CloseReason.TlsError),
        TlsStatus.NoMemory => new Result(Next.Close, CloseReason.BufferTotal),
        TlsStatus.Broken => new Result(Next.Close, SocketErrors.ReasonFor(_tlsResult.Errno)),
        _ when _tlsResult.IsIncomplete => new Result(Next.ReadOn, MustFlush: _tlsResult.MustFlush),
        _ => WaitForMore(id, ref slot, _tlsResult.MayBeMore || isMoreBehind) with { MustFlush = _tlsResult.MustFlush },
    };

    /// <summary>Leaves it to epoll to say when there is more; once more if that is possible now.</summary>
    private Result WaitForMore(ConnectionId id, ref ConnectionSlot slot, bool mayBeMore)
    {
        if (mayBeMore && table.TryEnter(id))
        {
            interest.RearmRead(id, ref slot);
            slot.Exit();
        }

        return new Result(Next.Wait);
    }

    /// <summary>How a read came out.</summary>
    /// <param name="Next">What is to do.</param>
    /// <param name="Reason">With <see cref="Next.Close"/>: why.</param>
    /// <param name="MustFlush">Whether output that has waited for input can be sent now.</param>
    public readonly record struct Result(Next Next, CloseReason Reason = default, bool MustFlush = false);
}
