using Megaphone.Handover;

namespace Megaphone.Reactor;

/// <summary>Hands over what a handler keeps for its connections. While no reactor runs.</summary>
internal interface IStateKeeper<TState>
    where TState : unmanaged
{
    /// <summary>Writes what is kept for one connection, and the memory that it owns.</summary>
    void Save(ConnectionId id, ref TState state, StateWriter writer);

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    TState Restore(ConnectionId id, StateReader reader);
}
