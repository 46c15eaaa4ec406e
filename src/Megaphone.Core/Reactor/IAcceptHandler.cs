using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>What a room does with the connections that its reactors accept, beside what <see cref="IConnectionHandler{TState}"/> says.</summary>
internal interface IAcceptHandler<TState>
    where TState : unmanaged
{
    /// <summary>The most connections that give way at the same time; see <see cref="TryMakeRoom"/>.</summary>
    const int MostGivingWay = 32;

    /// <summary>Connections that give way, and are not closed yet. Any thread.</summary>
    int GivingWay { get; }

    /// <summary>Why no client may be accepted now; null when one may. Any thread.</summary>
    RefusalReason? GetRefusal();

    /// <summary>A client has connected to a listener, counted from 0. Any thread; it may still be told why it is refused.</summary>
    /// <returns>Null, or why it is refused. One that is not is counted until <see cref="IConnectionHandler{TState}.OnClosed"/> or
    /// <see cref="OnTurnedAway"/>.</returns>
    RefusalReason? OnArrived(int descriptor, in NativeAddress peer, int listener);

    /// <summary>A client that has arrived is not served after all, or has gone before it was accepted. Any thread.</summary>
    void OnTurnedAway(in NativeAddress peer);

    /// <summary>All places are taken: has one that has not been admitted give its own to a client that has connected. Any thread.</summary>
    /// <param name="peer">The client's address.</param>
    /// <param name="limit">What is taken.</param>
    /// <returns>Whether one gives way: it is counted by <see cref="GivingWay"/> until it is closed.</returns>
    bool TryMakeRoom(in NativeAddress peer, Limit limit);

    /// <summary>
    /// A client was accepted by a listener, counted from 0, and has its TLS, if any: the handler fills in its state and says whose it is.
    /// Any thread, and several at the same time; the connection's gate is held.
    /// </summary>
    /// <returns>Null, or why the client is refused after all.</returns>
    RefusalReason? OnAccepted(
        ConnectionId id, ref TState state, in NativeAddress peer, int descriptor, int listener, TlsFacts? tls, out int owner);

    /// <summary>Whether there may be connections that have begun something and not finished it: then all are looked at, every so often.</summary>
    bool HasUnfinished { get; }

    /// <summary>A connection has been admitted (<see cref="ConnectionRequests{TState}.Admit"/>). Any thread, with the gate held: it must not
    /// call the reactor.</summary>
    void OnAdmitted(ConnectionId id, ref TState state);

    /// <summary>
    /// Why a connection is to be closed by a sweep (<see cref="Reactor{TState}.Sweep"/>) or a drain (<see cref="Reactor{TState}.Drain"/>), as it was
    /// not admitted in time, or in a look at all; null when it stays. The reactor's thread, with the gate held: it must not call the reactor.
    /// </summary>
    /// <param name="id">Its id.</param>
    /// <param name="owner">Whose it is.</param>
    /// <param name="hasSent">Whether anything was ever sent to the peer.</param>
    /// <param name="occasion">Why it is asked.</param>
    /// <param name="state">What the handler keeps for it.</param>
    /// <param name="last">What the peer is still sent. Not empty: our direction is ended behind it, and the connection is closed when the
    /// peer has ended too, or after the half-open timeout. Empty: the connection is closed at once, by a drain behind what waits.</param>
    CloseReason? GetCloseReason(ConnectionId id, int owner, bool hasSent, CloseOccasion occasion, ref TState state, out ReadOnlySpan<byte> last);
}
