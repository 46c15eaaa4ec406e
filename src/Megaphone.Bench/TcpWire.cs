namespace Megaphone.Bench;

/// <summary>A TCP connection for each played XMPP client.</summary>
internal sealed class TcpWire : IXmppWire, ITcpHandler, ISessionCarrier
{
    private readonly XmppPlay _play;
    private readonly TcpClients _clients;

    /// <summary>Makes places for them; nothing is connected yet.</summary>
    public TcpWire(TcpOptions options, XmppPlay play)
    {
        _play = play;
        _clients = new TcpClients(options, play.Sessions.Count, this);
    }

    /// <inheritdoc/>
    public void Connect() => _clients.Start();

    /// <inheritdoc/>
    public bool TryOpen(int index, long scheduled)
    {
        if (!_clients.HasRoom) return false;
        _play.Open(index, scheduled);
        _clients.Open(index);
        return true;
    }

    /// <inheritdoc/>
    public bool TrySend(int index, ReadOnlySpan<byte> piece)
    {
        if (piece.IsEmpty) _clients.EndWrite(index);
        else _clients.Send(index, piece);
        return true;
    }

    /// <inheritdoc/>
    public bool TryReply(int index, ReadOnlySpan<byte> piece) => TrySend(index, piece);

    /// <inheritdoc/>
    public void WaitForRoom(int index) => PunctualSleep.Until(long.MaxValue, TimeSpan.FromMilliseconds(1));

    /// <inheritdoc/>
    public void Flush() => _clients.Poll();

    /// <inheritdoc/>
    public void Disconnect(bool cut)
    {
        _clients.Stop();
        for (int i = 0; i < _play.Sessions.Count; i++) _play.Lose(i, null);
    }

    /// <inheritdoc/>
    public void Tell(BenchReport report)
    {
        // Connections have nothing to tell that their clients do not.
    }

    /// <inheritdoc/>
    public void Connected(int index) => _clients.Send(index, _play.Header);

    /// <inheritdoc/>
    public void Received(int index, ReadOnlySpan<byte> bytes) => _play.Take(this, index, bytes);

    /// <inheritdoc/>
    public void Closed(int index, string? reason) => _play.Lose(index, reason ?? "the server ended a connection");

    /// <inheritdoc/>
    public void Dispose() => _clients.Dispose();
}
