using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>What a room does with the connections of its reactors, wherever they come from.</summary>
/// <remarks>
/// <para>Unless it says otherwise a method is called by the thread of the reactor that serves the connection, one at a time for each
/// connection. None may block. <c>owner</c> is the number that the connection was given when the reactor got it.</para>
/// <para>A handler of accepted connections is an <see cref="IAcceptHandler{TState}"/> as well, one of outgoing connections an
/// <see cref="IConnectHandler{TState}"/>.</para>
/// </remarks>
/// <typeparam name="TState">What the room keeps for each connection.</typeparam>
internal interface IConnectionHandler<TState>
    where TState : unmanaged
{
    /// <summary>
    /// There is something to receive. The handler claims room for it, calls <see cref="IConnectionInput.Receive"/> once, passes on what
    /// that returns, and gives back the room that is left.
    /// </summary>
    /// <returns>
    /// <see cref="Outcome.Done"/>: it has received. <see cref="Outcome.WouldBlock"/>: it has no room and has received nothing; it is asked
    /// again after <c>ReleaseStalled</c>. <see cref="Outcome.Closed"/>: it has received nothing and never will again.
    /// <see cref="Outcome.Held"/>: it has received nothing; it is asked again after <c>Release</c>. Until then the connection is closed if its peer
    /// ends its direction, and has no time by which it must be admitted.
    /// </returns>
    Outcome OnReadable(ConnectionId id, int owner, ref TState state, IConnectionInput input);

    /// <summary>The peer has ended its direction, and everything that came before has been received.</summary>
    /// <returns>
    /// <see cref="Outcome.WouldBlock"/>: there is no room to pass that on; it is called again after <c>ReleaseStalled</c>.
    /// <see cref="Outcome.Closed"/>: the connection is of no use any more and is closed.
    /// </returns>
    Outcome OnPeerHalfClosed(ConnectionId id, int owner, ref TState state);

    /// <summary>
    /// More than <see cref="BufferOptions.HighBytes"/> wait to be sent, or no more than <see cref="BufferOptions.LowBytes"/> any longer.
    /// Any thread, with the connection's gate held: it must not call the reactor.
    /// </summary>
    /// <returns><see cref="Outcome.WouldBlock"/>: there is no room to pass that on; it is called again after <c>ReleaseStalled</c>.</returns>
    Outcome OnWritePressureChanged(ConnectionId id, int owner, ref TState state, bool isHigh);

    /// <summary>The connection is about to be closed, and its socket can still be asked. With its gate held: it must not call the reactor.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="state">What the room keeps for it.</param>
    /// <param name="reason">Why; where it was sent last words, why those were sent.</param>
    void OnClosing(in SurveyedConnection connection, in TState state, CloseReason reason)
    {
    }

    /// <summary>The connection is closed. After <see cref="Outcome.Done"/> its state is forgotten.</summary>
    /// <returns><see cref="Outcome.WouldBlock"/>: there is no room to pass that on; it is called again after <c>ReleaseStalled</c>.</returns>
    Outcome OnClosed(ConnectionId id, int owner, ref TState state, CloseReason reason);

    /// <summary>
    /// A reactor's slots from <paramref name="first"/> on are used by no connection, and their memory is given back: that of what the room
    /// keeps for them beside their states can go as well. It must not call the reactor.
    /// </summary>
    void OnSlotsGivenBack(int reactor, int first, int count)
    {
    }

    /// <summary>A batch of events has been handled: time to pass on what this thread has gathered. Any thread.</summary>
    void OnBatchEnd();
}
