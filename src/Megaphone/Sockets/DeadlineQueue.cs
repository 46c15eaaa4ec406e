namespace Megaphone.Sockets;

/// <summary>Deadlines that all lie the same time ahead, so that the order of arrival is the order of falling due.</summary>
/// <remarks>
/// Not thread-safe: each belongs to one reactor. What fell due is checked against the connection then, so nothing has to be
/// taken out early. Only before the queue grows, deadlines of connections that are gone leave it: it is never longer than twice
/// those that still matter.
/// </remarks>
internal sealed class DeadlineQueue(TimeSpan after, Func<ConnectionId, bool> isThere)
{
    /// <summary>Entries for which there may be room without need: a hundred KB.</summary>
    private const int Few = 4096;

    private readonly Queue<(long Due, ConnectionId Id, byte Attempt)> _queue = new();
    private readonly long _afterMilliseconds = (long)after.TotalMilliseconds;

    /// <summary>Arms a deadline for a connection.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    /// <param name="attempt">Which attempt of the connection's it is for.</param>
    public void Arm(ConnectionId id, long now, byte attempt = 0)
    {
        if (_queue.Count == _queue.Capacity && _queue.Count >= Few) Sift();
        _queue.Enqueue((now + _afterMilliseconds, id, attempt));
    }

    /// <summary>Takes one connection whose deadline has passed.</summary>
    public bool TryTakeDue(long now, out ConnectionId id, out byte attempt)
    {
        if (_queue.TryPeek(out (long Due, ConnectionId Id, byte Attempt) first) && first.Due <= now)
        {
            _queue.Dequeue();
            if (_queue.Count == 0 && _queue.Capacity > Few) _queue.TrimExcess();
            (_, id, attempt) = first;
            return true;
        }

        (id, attempt) = (default, 0);
        return false;
    }

    /// <summary>Milliseconds until the first deadline; <see cref="int.MaxValue"/> when there is none.</summary>
    public int UntilNext(long now) =>
        _queue.TryPeek(out (long Due, ConnectionId Id, byte Attempt) first) ? (int)Math.Clamp(first.Due - now, 0, int.MaxValue) : int.MaxValue;

    private void Sift()
    {
        for (int left = _queue.Count; left > 0; left--)
        {
            (long Due, ConnectionId Id, byte Attempt) entry = _queue.Dequeue();
            if (isThere(entry.Id)) _queue.Enqueue(entry);
        }
    }
}
