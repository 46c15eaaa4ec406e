namespace Megaphone.Ecm;

/// <summary>How many clients each listener has, by <see cref="EcmClient.Listener"/>. Thread-safe.</summary>
internal sealed class ListenerCounts
{
    private readonly int[] _clients = new int[byte.MaxValue + 1];

    /// <summary>The clients of one listener.</summary>
    public int this[int listener] => Volatile.Read(ref _clients[listener]);

    /// <summary>The clients of listeners from this one on: with as many as are configured, those whose listeners a reload has closed.</summary>
    public int From(int listener) => _clients.Skip(listener).Sum();

    /// <summary>A client has come.</summary>
    public void Add(int listener) => Interlocked.Increment(ref _clients[listener]);

    /// <summary>A client has gone.</summary>
    public void Remove(int listener) => Interlocked.Decrement(ref _clients[listener]);
}
