namespace Megaphone.Bench;

/// <summary>Carries XMPP clients to the server over a TCP connection each.</summary>
internal sealed class TcpTransport : IXmppTransport, ITcpHandler, IReplySender
{
    private readonly XmppClients _clients;
    private readonly TcpClients _connections;

    /// <summary>Reserves room for the connections; nothing is connected yet.</summary>
    public TcpTransport(TcpOptions options, XmppClients clients)
    {
        _clients = clients;
        _connections = new TcpClients(options, clients.Sessions.Count, this, clients.Header.ToArray());
    }

    /// <inheritdoc/>
    public void Connect() => _connections.Start();

    /// <inheritdoc/>
    public bool TryOpen(int index, long scheduled)
    {
        if (!_connections.HasRoom) return false;
        _clients.Open(index, scheduled);
        _connections.Open(index);
        return true;
    }

    /// <inheritdoc/>
    public bool TrySend(int index, ReadOnlySpan<byte> piece)
    {
        if (piece.IsEmpty) _connections.EndWrite(index);
        else _connections.Send(index, piece);
        return true;
    }

    /// <inheritdoc/>
    public bool TryReply(int index, ReadOnlySpan<byte> piece) => TrySend(index, piece);

    /// <inheritdoc/>
    public void WaitForRoom(int index) => PreciseSleep.Until(long.MaxValue, TimeSpan.FromMilliseconds(1));

    /// <inheritdoc/>
    public void Flush() => _connections.Poll();

    /// <inheritdoc/>
    public void Disconnect(bool cut)
    {
        _connections.Stop();
        for (int i = 0; i < _clients.Sessions.Count; i++) _clients.Lose(i, null);
    }

    /// <inheritdoc/>
    public void AddTo(BenchReport report)
    {
        // Connections count nothing that their clients do not.
    }

    /// <inheritdoc/>
    public void Connected(int index) => _connections.Send(index, _clients.Header);

    /// <inheritdoc/>
    public void Received(int index, ReadOnlySpan<byte> bytes) => _clients.Receive(this, index, bytes);

    /// <inheritdoc/>
    public void Closed(int index, bool wasConnected, string? reason)
    {
        // With TLS 1.2 the end of the server's stream is the end of both, and nothing comes before this.
        if (reason is null) _clients.Receive(this, index, []);
        else _clients.Lose(index, reason);
    }

    /// <inheritdoc/>
    public void Dispose() => _connections.Dispose();
}
