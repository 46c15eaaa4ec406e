namespace Megaphone.Reactor;

/// <summary>Whether a survey is to visit a connection.</summary>
/// <remarks>
/// Called without the connection's gate, and with it once more before the visit. Without it the connection may be over, and the descriptor
/// and the state another's.
/// </remarks>
internal delegate bool SurveyFilter<TState>(ConnectionId id, int descriptor, in TState state)
    where TState : unmanaged;
