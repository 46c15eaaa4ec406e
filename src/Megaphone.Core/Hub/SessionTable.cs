using System.Collections.Concurrent;
using Megaphone.Links;

namespace Megaphone.Hub;

/// <summary>One link's sessions by connection id, and the ids of those that are over. Thread-safe.</summary>
/// <remarks>
/// <para>An id that is over must not open a session again while packets for it may be in flight (section 2 of the link
/// protocol), so it is remembered; the oldest is forgotten when there are more than <c>remembered</c>.</para>
/// <para>Finding takes no lock: it is done for every packet. What it costs does not depend on the ids, which the other side chooses
/// (<see cref="KeyedNumber"/>).</para>
/// </remarks>
/// <param name="remembered">How many ended ids are kept.</param>
internal sealed class SessionTable(int remembered)
{
    private readonly ConcurrentDictionary<KeyedNumber, HubSession> _sessions = new(concurrencyLevel: 1, capacity: 31);
    private readonly HashSet<KeyedNumber> _ended = [];
    private readonly Queue<KeyedNumber> _endedOrder = new();
    private readonly Lock _ending = new();

    /// <summary>Finds the session of an id.</summary>
    /// <param name="id">The connection id.</param>
    /// <param name="wasEnded">Whether there was one, and it is over.</param>
    public HubSession? Find(ulong id, out bool wasEnded)
    {
        wasEnded = false;
        if (_sessions.TryGetValue(new KeyedNumber(id), out HubSession? session)) return session;

        // Who ends a session remembers its id first and takes it out then: it is always found in one of the two places.
        lock (_ending) wasEnded = _ended.Contains(new KeyedNumber(id));
        return null;
    }

    /// <summary>Adds a session under an id that has none and never had.</summary>
    public void Add(HubSession session) => _sessions.TryAdd(new KeyedNumber(session.Id), session);

    /// <summary>Takes a session out and remembers that its id is over.</summary>
    /// <returns>False when it was out already.</returns>
    public bool End(ulong id)
    {
        lock (_ending)
        {
            if (!_sessions.ContainsKey(new KeyedNumber(id))) return false;
            Remember(id);
            return _sessions.TryRemove(new KeyedNumber(id), out _);
        }
    }

    /// <summary>Takes a session out as if it had never been there.</summary>
    public void Forget(ulong id) => _sessions.TryRemove(new KeyedNumber(id), out _);

    /// <summary>Remembers an id that never got a session as one that is over.</summary>
    public void Refuse(ulong id)
    {
        lock (_ending) Remember(id);
    }

    /// <summary>The sessions that are open; whether it has those that begin or end meanwhile is left open.</summary>
    /// <remarks>It takes no lock and copies nothing: a link with very many sessions goes on opening them while somebody looks at all.</remarks>
    public IEnumerable<HubSession> Open() => _sessions.Select(entry => entry.Value);

    private void Remember(ulong id)
    {
        KeyedNumber number = new(id);
        if (!_ended.Add(number)) return;
        _endedOrder.Enqueue(number);
        if (_endedOrder.Count > remembered) _ended.Remove(_endedOrder.Dequeue());
    }
}
