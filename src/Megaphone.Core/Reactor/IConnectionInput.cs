namespace Megaphone.Reactor;

/// <summary>The input of the connection for which <see cref="IConnectionHandler{TState}.OnReadable"/> is being called.</summary>
internal interface IConnectionInput
{
    /// <summary>Receives what has arrived. To be called once at most in each call of the handler.</summary>
    /// <param name="mostBytes">For how much there is room; more than 0. There may be less, whatever has arrived.</param>
    /// <returns>
    /// The bytes, which belong to the reactor, are valid until the handler returns, and may be changed by it. Empty when there was nothing
    /// after all, or the end of the peer's direction, or an error; the reactor goes into that afterwards.
    /// </returns>
    Span<byte> Receive(int mostBytes);

    /// <summary>Whether the connection has been admitted.</summary>
    bool IsAdmitted { get; }

    /// <summary>Gives the connection the time anew that it has to be admitted.</summary>
    void RenewDeadline();
}
