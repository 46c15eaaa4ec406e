using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>Clients with TLS that, behind their handshake, send nothing but records that say nothing, as fast as they are taken.</summary>
/// <remarks>Who is ended comes back a moment later, with fewer of them.</remarks>
internal abstract class TlsFlood : IAttack
{
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
    public abstract int LeastMoves { get; }

    /// <summary>How many clients; the ECM spreads them over its reactors.</summary>
    protected abstract int Connections { get; }

    /// <summary>Whether this client reads what is answered.</summary>
    protected abstract bool Reads(int number);

    /// <summary>Connects a client and makes what it will send.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="keyLog">A file that may be written.</param>
    /// <param name="number">Which client.</param>
    /// <param name="length">For how long there is to be something to send.</param>
    protected abstract Task<Flood> MakeAsync(IPEndPoint to, string keyLog, int number, TimeSpan length);

    /// <inheritdoc/>
    public async Task PrepareAsync(Target target, Pace pace)
    {
        // One after the other, so that the ECM gives each to another reactor.
        for (int i = 0; i < Connections; i++)
            _floods.Add(await MakeAsync(target.TlsClients, target.KeyLog($"keys-{i}"), i, pace.Length));
    }

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Pace pace, CancellationToken end)
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

    /// <returns>Null when it is not let in.</returns>
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

    /// <summary>A connection behind its handshake, and the records to send on it.</summary>
    /// <param name="Socket">The connection.</param>
    /// <param name="Bytes">The records.</param>
    /// <param name="Records">How many they are.</param>
    protected sealed record Flood(Socket Socket, byte[] Bytes, int Records);
}
