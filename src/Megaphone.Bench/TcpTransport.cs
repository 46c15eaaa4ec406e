namespace Megaphone.Bench;

/// <summary>Carries XMPP clients to the server over a TCP connection each.</summary>
internal class TcpTransport : IXmppTransport, ITcpHandler, IReplySender
{
    private readonly TcpClients _connections;

    /// <summary>Reserves room for the connections; nothing is connected yet.</summary>
    public TcpTransport(TcpOptions options, XmppClients clients)
    {
        Clients = clients;
        _connections = new TcpClients(options, clients.Sessions.Count, this, clients.Header.ToArray());
    }

    /// <summary>The clients.</summary>
    protected XmppClients Clients { get; }

    /// <inheritdoc/>
    public void Connect() => _connections.Start();

    /// <inheritdoc/>
    public bool TryOpen(int index, long scheduled)
    {
        if (!_connections.HasRoom) return false;
        Clients.Open(index, scheduled);
        _connections.Open(index);
        return true;
    }

    /// <inheritdoc/>
    public virtual bool TrySend(int index, ReadOnlySpan<byte> piece)
    {
        if (piece.IsEmpty) EndWrite(index);
        else SendBytes(index, piece);
        return true;
    }

    /// <inheritdoc/>
    public bool TryReply(int index, ReadOnlySpan<byte> piece) => TrySend(index, piece);

    /// <inheritdoc/>
    public void WaitForRoom(int index) => PreciseSleep.Until(long.MaxValue, TimeSpan.FromMilliseconds(1));

    /// <inheritdoc/>
    public virtual void Flush() => _connections.Poll();

    /// <inheritdoc/>
    public void Disconnect(bool cut)
    {
        _connections.Stop();
        for (int i = 0; i < Clients.Sessions.Count; i++) Clients.Lose(i, null);
    }

    /// <inheritdoc/>
    public void AddTo(BenchReport report)
    {
        // Connections count nothing that their clients do not.
    }

    /// <inheritdoc/>
    public virtual void Connected(int index) => SendBytes(index, Clients.Header);

    /// <inheritdoc/>
    public virtual void Received(int index, Span<byte> bytes) => Clients.Receive(this, index, bytes);

    /// <inheritdoc/>
    public void Closed(int index, bool wasConnected, string? reason)
    {
        // With TLS 1.2 the end of the server's stream is the end of both, and nothing comes before this.
        if (reason is null) Clients.Receive(this, index, []);
        else Clients.Lose(index, reason);
    }

    /// <inheritdoc/>
    public virtual void Dispose() => _connections.Dispose();

    /// <summary>Sends bytes as they are; what a closed connection is given is dropped.</summary>
    protected void SendBytes(int index, ReadOnlySpan<byte> bytes) => _connections.Send(index, bytes);

    /// <summary>Ends the stream to the server.</summary>
    protected void EndWrite(int index) => _connections.EndWrite(index);
}
