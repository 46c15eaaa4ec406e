using System.Collections.Concurrent;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Tests.Reactor;

/// <summary>Notes what the reactors tell, and answers as the test wants it.</summary>
internal sealed class TestHandler : IConnectionHandler<TestConnection>, IAcceptHandler<TestConnection>, IConnectHandler<TestConnection>
{
    private int _batches;

    /// <summary>Every client that was accepted, in order.</summary>
    public BlockingCollection<TestConnection> Accepted { get; } = [];

    /// <summary>How many bytes there is room for; 0: none now; less than 0: nothing is wanted any more.</summary>
    public Func<TestConnection, int> Room { get; set; } = _ => 64 << 10;

    /// <summary>What is done with what was read, after it was noted.</summary>
    public Action<TestConnection, byte[]> Received { get; set; } = (_, _) => { };

    /// <summary>The answers to news: <c>slow</c>, <c>fast</c>, <c>end</c>, <c>closed</c>.</summary>
    public Func<TestConnection, string, Outcome> Answer { get; set; } = (_, _) => Outcome.Done;

    /// <summary>Whether clients are taken.</summary>
    public RefusalReason? Refuses { get; set; }

    /// <summary>Why a sweep closes the connections of an owner.</summary>
    public Func<int, CloseReason?> CloseReasonOf { get; set; } = _ => null;

    /// <summary>The owner of accepted clients.</summary>
    public int Owner { get; set; } = 1;

    public int Batches => Volatile.Read(ref _batches);

    public TestConnection NextAccepted() =>
        Accepted.TryTake(out TestConnection? connection, Links.Patience.Long)
            ? connection
            : throw new TimeoutException("No client was accepted.");

    RefusalReason? IAcceptHandler<TestConnection>.GetRefusal() => Refuses;

    RefusalReason? IAcceptHandler<TestConnection>.OnAccepted(
        ConnectionId id, ref TestConnection state, in NativeAddress peer, int descriptor, int listener, TlsFacts? tls, out int owner)
    {
        state = new TestConnection { Id = id, Owner = Owner };
        owner = Owner;
        Accepted.Add(state);
        return null;
    }

    void IConnectHandler<TestConnection>.OnConnected(ConnectionId id, ref TestConnection state) => state.Tell("connected");

    bool IConnectHandler<TestConnection>.TryNextAddress(ref TestConnection state, out NativeAddress address) =>
        state.Others.TryDequeue(out address);

    Outcome IConnectionHandler<TestConnection>.OnReadable(ConnectionId id, int owner, ref TestConnection state, IConnectionInput input)
    {
        int room = Room(state);
        if (room <= 0) return room == 0 ? Outcome.WouldBlock : Outcome.Closed;
        ReadOnlySpan<byte> bytes = input.Receive(room);
        if (bytes.IsEmpty) return Outcome.Done;
        state.Take(bytes);
        Received(state, bytes.ToArray());
        return Outcome.Done;
    }

    Outcome IConnectionHandler<TestConnection>.OnPeerHalfClosed(ConnectionId id, int owner, ref TestConnection state) => Tell(state, "end");

    Outcome IConnectionHandler<TestConnection>.OnWritePressureChanged(ConnectionId id, int owner, ref TestConnection state, bool isHigh) =>
        Tell(state, isHigh ? "slow" : "fast");

    Outcome IConnectionHandler<TestConnection>.OnClosed(ConnectionId id, int owner, ref TestConnection state, CloseReason reason)
    {
        Outcome answer = Answer(state, "closed");
        if (answer != Outcome.WouldBlock) state.Close(reason);
        return answer;
    }

    CloseReason? IAcceptHandler<TestConnection>.GetCloseReason(int owner, ref TestConnection state) => CloseReasonOf(owner);

    void IConnectionHandler<TestConnection>.OnBatchEnd() => Interlocked.Increment(ref _batches);

    private Outcome Tell(TestConnection state, string what)
    {
        Outcome answer = Answer(state, what);
        if (answer != Outcome.WouldBlock) state.Tell(what);
        return answer;
    }
}
