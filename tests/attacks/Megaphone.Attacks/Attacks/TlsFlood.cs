using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>TLS clients that, after their handshake, send nothing but records without data, as fast as they are taken.</summary>
/// <remarks>A client that is ended comes back a moment later, with fewer records.</remarks>
internal abstract class TlsFlood : IAttack
{
    /// <summary>Bytes of memory that TLS clients without data may cost, however much they send: what handshakes take for a while.</summary>
    public const long MaxMoreMemoryBytes = 8 << 20;

    private static readonly TimeSpan ComesBackAfter = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ReturnLength = TimeSpan.FromMilliseconds(20);

    private readonly List<Flood> _floods = [];
    private long _records;
    private int _ended;
    private int _firstEnds;

    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public abstract string Summary { get; }

    /// <inheritdoc/>
    public abstract Scene Scene { get; }

    /// <inheritdoc/>
    public abstract int MinActions { get; }

    /// <inheritdoc/>
    public long? MaxMoreMemory => MaxMoreMemoryBytes;

    /// <summary>The number of clients; the ECM spreads them over its reactors.</summary>
    protected abstract int Connections { get; }

    /// <summary>Whether this client reads the answers.</summary>
    protected abstract bool Reads(int number);

    /// <summary>Connects a client and prepares what it sends.</summary>
    /// <param name="to">The address to connect to.</param>
    /// <param name="keyLog">A file that may be written.</param>
    /// <param name="number">The client's number.</param>
    /// <param name="length">For how long the records are to last.</param>
    protected abstract Task<Flood> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length);

    /// <inheritdoc/>
    public async Task PrepareAsync(Target target, Timing timing)
    {
        // One after the other, so that the ECM gives each to another reactor.
        for (int i = 0; i < Connections; i++)
            _floods.Add(await MakeAsync(target.TlsClients, target.KeyLog($"keys-{i}"), i, timing.Length));
    }

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        await AttackThread.RunAsync(Connections, i => Play(target, i, end));
        string word = _ended == 0 ? "never ended" : $"ended {_ended} times";
        return new Outcome(_records, $"{word}, {_records} records sent", _firstEnds < Connections ? "attackers were not ended" : null);
    }

    private void Play(Target target, int number, CancellationToken end)
    {
        Flood? flood = _floods[number];
        for (int time = 0; !end.IsCancellationRequested; time++)
        {
            if (flood is not null && Play(flood, Reads(number), end))
            {
                Interlocked.Increment(ref _ended);
                if (time == 0) Interlocked.Increment(ref _firstEnds);
            }

            if (end.WaitHandle.WaitOne(ComesBackAfter)) return;
            flood = ComeBack(target, number, time);
        }
    }

    /// <returns>Whether the other end has ended it.</returns>
    private bool Play(Flood flood, bool reads, CancellationToken end)
    {
        using AttackSocket socket = new(flood.Socket);
        int sent = socket.Send(flood.Bytes, reads, end);
        Interlocked.Add(ref _records, (long)sent * flood.Records / flood.Bytes.Length);
        socket.Hold(reads, end);
        return socket.IsEnded;
    }

    /// <returns>Null when the connection is refused.</returns>
    private Flood? ComeBack(Target target, int number, int time)
    {
        try
        {
            return MakeAsync(target.TlsClients, target.KeyLog($"keys-{number}-{time}"), number, ReturnLength).GetAwaiter().GetResult();
        }
        catch (Exception refused) when (refused is IOException or SocketException or TimeoutException)
        {
            return null;
        }
    }

    /// <summary>A connection after its handshake, and the records to send on it.</summary>
    /// <param name="Socket">The connection.</param>
    /// <param name="Bytes">The records.</param>
    /// <param name="Records">The number of records.</param>
    protected sealed record Flood(Socket Socket, byte[] Bytes, int Records);
}
