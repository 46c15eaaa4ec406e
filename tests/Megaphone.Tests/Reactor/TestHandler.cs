using System.Collections.Concurrent;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Tests.Reactor;

/// <summary>Notes what it hears from the reactors, and answers as the test wants it.</summary>
internal sealed class TestHandler : IConnectionHandler<TestState>, IAcceptHandler<TestState>, IConnectHandler<TestState>
{
    private readonly ConcurrentDictionary<int, TestConnection> _connections = new();
    private int _numbers;
    private int _batches;
    private int _turnedAway;
    private int _givingWay;

    /// <summary>Every client that was accepted, in order.</summary>
    public BlockingCollection<TestConnection> Accepted { get; } = [];

    /// <summary>How many bytes there is room for; 0: none now; less than 0: nothing is wanted any more.</summary>
    public Func<TestConnection, int> Room { get; set; } = _ => 64 << 10;

    /// <summary>Whether a connection has to wait until it is released.</summary>
    public Func<TestConnection, bool> Holds { get; set; } = _ => false;

    /// <summary>Whether a connection gets its time to be admitted anew when it is read from.</summary>
    public bool Renews { get; set; }

    /// <summary>What is done with what was received, after it was noted.</summary>
    public Action<TestConnection, byte[]> Received { get; set; } = (_, _) => { };

    /// <summary>The answers to what is noted: <c>high</c>, <c>low</c>, <c>half-closed</c>, <c>closed</c>.</summary>
    public Func<TestConnection, string, Outcome> Answer { get; set; } = (_, _) => Outcome.Done;

    /// <summary>Why clients are refused; null: they are not.</summary>
    public RefusalReason? Refuses { get; set; }

    /// <summary>Why clients are refused when they have connected; null: they are not.</summary>
    public RefusalReason? RefusesArrival { get; set; }

    /// <summary>Has a connection give way to one for which there is no place; whether one does.</summary>
    public Func<bool> GivesWay { get; set; } = () => false;

    /// <summary>Clients that arrived and were not served.</summary>
    public int TurnedAway => Volatile.Read(ref _turnedAway);

    /// <summary>Why a sweep closes the connections of an owner.</summary>
    public Func<int, CloseReason?> CloseReasonOf { get; set; } = _ => null;

    /// <summary>What a connection that a sweep closes is sent, by whether it was sent anything before.</summary>
    public Func<bool, byte[]> LastOf { get; set; } = _ => [];

    /// <summary>Why a connection that was not admitted in time is closed; null: it stays.</summary>
    public CloseReason? CloseReasonOfLate { get; set; }

    /// <summary>Why a look at all closes a connection; null: it stays.</summary>
    public Func<TestConnection, CloseReason?> CloseReasonOfLook { get; set; } = _ => null;

    /// <summary>Whether all connections are to be looked at.</summary>
    public bool HasUnfinished { get; set; }

    /// <summary>The owner of accepted clients.</summary>
    public int Owner { get; set; } = 1;

    public int Batches => Volatile.Read(ref _batches);

    public TestConnection NextAccepted() =>
        Accepted.TryTake(out TestConnection? connection, BoundedWait.Limit)
            ? connection
            : throw new TimeoutException("No client was accepted.");

    /// <summary>Makes the state for a connection.</summary>
    public TestState Register(TestConnection connection)
    {
        TestState state = new(Interlocked.Increment(ref _numbers));
        _connections[state.Number] = connection;
        return state;
    }

    int IAcceptHandler<TestState>.GivingWay => Volatile.Read(ref _givingWay);

    RefusalReason? IAcceptHandler<TestState>.GetRefusal() => Refuses;

    RefusalReason? IAcceptHandler<TestState>.OnArrived(int descriptor, in NativeAddress peer, int listener) => RefusesArrival;

    bool IAcceptHandler<TestState>.TryMakeRoom(in NativeAddress peer, Limit limit)
    {
        if (!GivesWay()) return false;
        Interlocked.Increment(ref _givingWay);
        return true;
    }

    void IAcceptHandler<TestState>.OnTurnedAway(in NativeAddress peer) => Interlocked.Increment(ref _turnedAway);

    RefusalReason? IAcceptHandler<TestState>.OnAccepted(
        ConnectionId id, ref TestState state, in NativeAddress peer, int descriptor, int listener, TlsFacts? tls, out int owner)
    {
        TestConnection connection = new() { Id = id, Owner = Owner };
        state = Register(connection);
        owner = Owner;
        Accepted.Add(connection);
        return null;
    }

    void IConnectHandler<TestState>.OnConnected(ConnectionId id, ref TestState state) => _connections[state.Number].Note("connected");

    bool IConnectHandler<TestState>.TryNextAddress(ref TestState state, out NativeAddress address) =>
        _connections[state.Number].Others.TryDequeue(out address);

    Outcome IConnectionHandler<TestState>.OnReadable(ConnectionId id, int owner, ref TestState state, IConnectionInput input)
    {
        TestConnection connection = _connections[state.Number];
        if (Holds(connection))
        {
            connection.Note("held");
            return Outcome.Held;
        }

        if (Renews) input.RenewDeadline();
        int room = Room(connection);
        if (room <= 0) return room == 0 ? Outcome.WouldBlock : Outcome.Closed;
        ReadOnlySpan<byte> bytes = input.Receive(room);
        if (bytes.IsEmpty) return Outcome.Done;
        connection.Receive(bytes);
        Received(connection, bytes.ToArray());
        return Outcome.Done;
    }

    Outcome IConnectionHandler<TestState>.OnPeerHalfClosed(ConnectionId id, int owner, ref TestState state) => Note(state, "half-closed");

    Outcome IConnectionHandler<TestState>.OnWritePressureChanged(ConnectionId id, int owner, ref TestState state, bool isHigh) =>
        Note(state, isHigh ? "high" : "low");

    void IConnectionHandler<TestState>.OnClosing(in SurveyedConnection connection, in TestState state, CloseReason reason) =>
        _connections[state.Number].Closing = (connection, NativeSocket.LocalAddress(connection.Descriptor), reason);

    Outcome IConnectionHandler<TestState>.OnClosed(ConnectionId id, int owner, ref TestState state, CloseReason reason)
    {
        TestConnection connection = _connections[state.Number];
        Outcome answer = Answer(connection, "closed");
        if (answer == Outcome.WouldBlock) return answer;
        _connections.TryRemove(state.Number, out _);
        connection.Close(reason);
        if (reason == CloseReason.GaveWay) Interlocked.Decrement(ref _givingWay);
        return answer;
    }

    CloseReason? IAcceptHandler<TestState>.GetCloseReason(
        ConnectionId id, int owner, bool hasSent, CloseOccasion occasion, ref TestState state, out ReadOnlySpan<byte> last)
    {
        last = LastOf(hasSent);
        return occasion switch
        {
            CloseOccasion.Drain => CloseReason.Drained,
            CloseOccasion.Late => CloseReasonOfLate,
            CloseOccasion.Look => CloseReasonOfLook(_connections[state.Number]),
            _ => CloseReasonOf(owner),
        };
    }

    void IAcceptHandler<TestState>.OnAdmitted(ConnectionId id, ref TestState state) => _connections[state.Number].Note("admitted");

    void IConnectionHandler<TestState>.OnBatchEnd() => Interlocked.Increment(ref _batches);

    private Outcome Note(TestState state, string what)
    {
        TestConnection connection = _connections[state.Number];
        Outcome answer = Answer(connection, what);
        if (answer != Outcome.WouldBlock) connection.Note(what);
        return answer;
    }
}
