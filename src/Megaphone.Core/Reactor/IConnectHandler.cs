using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>What a room does with the connections that its reactors open, beside what <see cref="IConnectionHandler{TState}"/> says.</summary>
internal interface IConnectHandler<TState>
    where TState : unmanaged
{
    /// <summary>The connection is established; what has been sent meanwhile goes out now.</summary>
    void OnConnected(ConnectionId id, ref TState state);

    /// <summary>An address could not be connected to. The handler may name another one to try. The gate is held.</summary>
    bool TryNextAddress(ref TState state, out NativeAddress address);
}
