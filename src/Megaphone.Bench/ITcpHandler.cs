namespace Megaphone.Bench;

/// <summary>What a mode does with its connections, each of which has an index from 0 on.</summary>
internal interface ITcpHandler
{
    /// <summary>A connection is established. Called by the thread that drives the run.</summary>
    void Connected(int index);

    /// <summary>Something was received. Called by the connection's reactor.</summary>
    /// <param name="index">The connection's index.</param>
    /// <param name="bytes">May be changed. Empty: the other side has ended its stream.</param>
    void Received(int index, Span<byte> bytes);

    /// <summary>A connection is closed, or could not be established. Called by its reactor, or the thread that drives the run.</summary>
    /// <param name="index">The connection's index.</param>
    /// <param name="wasConnected">Whether it had been established.</param>
    /// <param name="reason">The reason; null: both sides had ended their streams.</param>
    void Closed(int index, bool wasConnected, string? reason);
}
