using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>TLS clients that keep all rules, so that nobody ends them, and cost as much as they can.</summary>
internal abstract class CostlyTls : IAttack
{
    private const int Connections = 4;

    private readonly List<(Socket Socket, byte[] Bytes)> _clients = [];
    private long _sent;
    private int _ended;

    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public abstract string Summary { get; }

    /// <inheritdoc/>
    public Scene Scene => new() { HasPeers = true, Ecm = ["Ecm:Reactors=2"] };

    /// <inheritdoc/>
    public int MinActions => 10_000;

    /// <inheritdoc/>
    public long? MaxMoreMemory => TlsFlood.MaxMoreMemoryBytes;

    /// <summary>Bytes that are sent at a time.</summary>
    protected abstract int BytesAtATime { get; }

    /// <summary>Whether the clients read what they get.</summary>
    protected abstract bool Reads { get; }

    /// <summary>Connects a client and prepares what it sends.</summary>
    /// <param name="to">The address to connect to.</param>
    /// <param name="keyLog">A file that may be written.</param>
    /// <param name="number">The client's number.</param>
    /// <param name="length">For how long it is to last.</param>
    protected abstract Task<(Socket Socket, byte[] Bytes)> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length);

    /// <inheritdoc/>
    public async Task PrepareAsync(Target target, Timing timing)
    {
        for (int i = 0; i < Connections; i++)
            _clients.Add(await MakeAsync(target.TlsClients, target.KeyLog($"keys-{i}"), i, timing.Length));
    }

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        await AttackThread.RunAsync(Connections, i => Play(_clients[i], end));
        return new Outcome(_sent, $"{_sent} bytes sent, {_ended} of {Connections} ended", _ended > 0 ? "who keeps the rules was ended" : null);
    }

    private void Play((Socket Socket, byte[] Bytes) client, CancellationToken end)
    {
        using AttackSocket socket = new(client.Socket);
        long sent = 0;
        for (int at = 0; at < client.Bytes.Length && !socket.IsEnded && !end.IsCancellationRequested; at += BytesAtATime)
        {
            ReadOnlySpan<byte> next = client.Bytes.AsSpan(at, Math.Min(BytesAtATime, client.Bytes.Length - at));
            sent += socket.Send(next, Reads, end);
        }

        Interlocked.Add(ref _sent, sent);
        socket.Hold(Reads, end);
        if (socket.IsEnded) Interlocked.Increment(ref _ended);
    }
}
