using Megaphone.Admin;
using Megaphone.Handover;

namespace Megaphone.Hosting;

/// <summary>The orders for reloads, and who waits for their ends: through all images of the process.</summary>
/// <remarks>Orders that come while a reload is under way are one more, behind it. Thread-safe.</remarks>
internal sealed class ReloadOrders
{
    private const int MostWaiters = 4096;

    private readonly Lock _lock = new();
    private List<ReloadWaiter> _waiting = [];
    private List<ReloadWaiter> _served = [];
    private string? _cause;

    /// <summary>Adds an order.</summary>
    /// <param name="cause">For the log.</param>
    /// <param name="waiters">Who is to be told the end.</param>
    public void Add(string cause, params IEnumerable<ReloadWaiter> waiters)
    {
        lock (_lock)
        {
            _cause = cause;
            _waiting.AddRange(waiters);
        }
    }

    /// <summary>Takes all orders that there are: <see cref="Tell"/> tells the end of what they are for.</summary>
    /// <returns>The cause of the last; null: there are none.</returns>
    public string? Take()
    {
        lock (_lock)
        {
            string? cause = _cause;
            _cause = null;
            if (cause is not null) (_served, _waiting) = (_waiting, []);
            return cause;
        }
    }

    /// <summary>Tells the end to those whose orders were taken.</summary>
    public void Tell(ReloadOutcome outcome)
    {
        List<ReloadWaiter> served;
        lock (_lock) (served, _served) = (_served, []);
        served.ForEach(waiter => waiter.Tell(outcome));
    }

    /// <summary>Writes them, for the process's next image.</summary>
    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.WriteText(_cause);
            foreach (List<ReloadWaiter> waiters in (ReadOnlySpan<List<ReloadWaiter>>)[_served, _waiting])
            {
                List<ReloadWaiter> connected = [.. waiters.Where(waiter => waiter.Descriptor >= 0)];
                writer.Write(connected.Count);
                connected.ForEach(waiter => writer.WriteDescriptor(waiter.Descriptor));
            }
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader)
    {
        lock (_lock)
        {
            _cause = reader.ReadText("why a reload is ordered");
            (_served, _waiting) = (ReadWaiters(reader), ReadWaiters(reader));
        }
    }

    private static List<ReloadWaiter> ReadWaiters(StateReader reader)
    {
        List<ReloadWaiter> waiters = [];
        for (int left = reader.ReadNumber(0, MostWaiters, "the number of those who wait"); left > 0; left--)
            waiters.Add(new ReloadWaiter(reader.ReadDescriptor("the connection of one who waits")));
        return waiters;
    }
}
