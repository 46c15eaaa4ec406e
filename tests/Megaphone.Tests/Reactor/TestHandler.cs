using System.Collections.Concurrent;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Tests.Reactor;

/// <summary>Notes what the reactors tell, and answers as the test wants it.</summary>
internal sealed class TestHandler : IConnectionHandler<TestConnection>
{
    private int _batches;

    /// <summary>Every client that was accepted, in order.</summary>
    public BlockingCollection<TestConnection> Accepted { get; } = [];

    /// <summary>How much may be read; as <see cref="IConnectionHandler{TState}.Reserve"/> says.</summary>
    public Func<TestConnection, int> Reserve { get; set; } = _ => 64 << 10;

    /// <summary>What is done with what was read, after it was noted.</summary>
    public Action<TestConnection, byte[]> Received { get; set; } = (_, _) => { };

    /// <summary>The answers to news: <c>slow</c>, <c>fast</c>, <c>end</c>, <c>closed</c>.</summary>
    public Func<TestConnection, string, Told> Answer { get; set; } = (_, _) => Told.Done;

    /// <summary>Whether clients are taken.</summary>
    public RefusalReason? Refuses { get; set; }

    /// <summary>Which are closed by a sweep.</summary>
    public Func<int, CloseReason?> Dooms { get; set; } = _ => null;

    /// <summary>The owner of accepted clients.</summary>
    public int Owner { get; set; } = 1;

    public int Batches => Volatile.Read(ref _batches);

    public TestConnection NextAccepted() =>
        Accepted.TryTake(out TestConnection? connection, Links.Patience.Long)
            ? connection
            : throw new TimeoutException("No client was accepted.");

    RefusalReason? IConnectionHandler<TestConnection>.Refusal() => Refuses;

    RefusalReason? IConnectionHandler<TestConnection>.Accepted(
        ConnectionId id, ref TestConnection state, in NativeAddress peer, int descriptor, int listener, TlsFacts? tls, out int owner)
    {
        state = new TestConnection { Id = id, Owner = Owner };
        owner = Owner;
        Accepted.Add(state);
        return null;
    }

    void IConnectionHandler<TestConnection>.Connected(ConnectionId id, ref TestConnection state) => state.Tell("connected");

    bool IConnectionHandler<TestConnection>.TryNextAddress(ref TestConnection state, out NativeAddress address) =>
        state.Others.TryDequeue(out address);

    int IConnectionHandler<TestConnection>.Reserve(int owner, ref TestConnection state) => Reserve(state);

    void IConnectionHandler<TestConnection>.Received(
        ConnectionId id, int owner, ref TestConnection state, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        state.Take(bytes);
        Received(state, bytes.ToArray());
    }

    Told IConnectionHandler<TestConnection>.TellReadEnded(ConnectionId id, int owner, ref TestConnection state) => Tell(state, "end");

    Told IConnectionHandler<TestConnection>.TellSlow(ConnectionId id, int owner, ref TestConnection state, bool slow) =>
        Tell(state, slow ? "slow" : "fast");

    Told IConnectionHandler<TestConnection>.TellClosed(ConnectionId id, int owner, ref TestConnection state, CloseReason reason)
    {
        Told answer = Answer(state, "closed");
        if (answer != Told.NoRoom) state.Close(reason);
        return answer;
    }

    CloseReason? IConnectionHandler<TestConnection>.Doomed(int owner, ref TestConnection state) => Dooms(owner);

    void IConnectionHandler<TestConnection>.BatchEnded() => Interlocked.Increment(ref _batches);

    private Told Tell(TestConnection state, string what)
    {
        Told answer = Answer(state, what);
        if (answer != Told.NoRoom) state.Tell(what);
        return answer;
    }
}
