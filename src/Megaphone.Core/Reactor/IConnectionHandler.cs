using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>What a room does with the connections of its reactors.</summary>
/// <remarks>
/// Unless it says otherwise a method is called by the reactor that serves the connection, one at a time for each
/// connection. None may block. <c>owner</c> is the number given when the connection was taken in.
/// </remarks>
/// <typeparam name="TState">What the room keeps for each connection; a small struct, or a reference.</typeparam>
internal interface IConnectionHandler<TState>
{
    /// <summary>Whether a client may be taken now; null when it may, else why not. Any thread.</summary>
    RefusalReason? Refusal();

    /// <summary>
    /// A client was accepted by a listener, counted from 0, and has its TLS, if any: fills in its state and says whose it is.
    /// Any thread, and several at the same time.
    /// </summary>
    /// <returns>Null, or why it is refused after all.</returns>
    RefusalReason? Accepted(
        ConnectionId id, ref TState state, in NativeAddress peer, int descriptor, int listener, TlsFacts? tls, out int owner);

    /// <summary>An outgoing connection is established; what waited for it is being sent.</summary>
    void Connected(ConnectionId id, ref TState state);

    /// <summary>An outgoing connection failed. The handler may name another address to try.</summary>
    bool TryNextAddress(ref TState state, out NativeAddress address);

    /// <summary>Reserves room for what is about to be read.</summary>
    /// <returns>Bytes that may be read; 0: no room now, to be asked again after <c>ReleaseStalled</c>; less than 0: nothing
    /// of this connection is wanted any more. After a positive answer <see cref="Received"/> is called exactly once.</returns>
    int Reserve(int owner, ref TState state);

    /// <summary>Takes what was read, within the room reserved; empty when there was nothing after all.</summary>
    /// <remarks>The bytes belong to the reactor and are valid during the call only.</remarks>
    void Received(ConnectionId id, int owner, ref TState state, ReadOnlySpan<byte> bytes);

    /// <summary>The peer ended its direction, after everything that was received.</summary>
    Told TellReadEnded(ConnectionId id, int owner, ref TState state);

    /// <summary>The connection became slow to take data, or is no longer. Any thread; must not call the reactor.</summary>
    Told TellSlow(ConnectionId id, int owner, ref TState state, bool slow);

    /// <summary>The connection is closed. The last call for it; after <see cref="Told.Done"/> its state is forgotten.</summary>
    Told TellClosed(ConnectionId id, int owner, ref TState state, CloseReason reason);

    /// <summary>Asked of each connection during a sweep: why it is to be closed, or null if it may stay.</summary>
    CloseReason? Doomed(int owner, ref TState state);

    /// <summary>A batch of events was handled: time to pass on what this thread has gathered. Any thread.</summary>
    void BatchEnded();
}
