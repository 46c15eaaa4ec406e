namespace Megaphone.Bench;

/// <summary>What a mode does with its connections, which it knows by their places.</summary>
internal interface ITcpHandler
{
    /// <summary>A connection stands. On the pacer's thread.</summary>
    void Connected(int index);

    /// <summary>Something arrived. On the thread of the connection's reactor.</summary>
    /// <param name="index">The connection's place.</param>
    /// <param name="bytes">Empty: the other side says nothing more.</param>
    void Received(int index, ReadOnlySpan<byte> bytes);

    /// <summary>A connection is gone, or never stood. On the thread of its reactor, or the pacer's.</summary>
    /// <param name="index">The connection's place.</param>
    /// <param name="reason">Why; null: both sides had ended it.</param>
    void Closed(int index, string? reason);
}
