using System.Collections.Concurrent;
using System.Diagnostics;

namespace Megaphone.Attacks;

/// <summary>Honest clients that ping at a fixed rate, and how long they wait.</summary>
internal sealed class HonestCrowd : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly List<HonestClient> _clients = [];
    private readonly ConcurrentDictionary<HonestClient, string> _harmed = new();

    private HonestCrowd()
    {
    }

    /// <summary>The clients that were harmed so far, disconnected, or left without an answer or with a wrong one; and how.</summary>
    public IReadOnlyCollection<string> Harmed => [.. _harmed.Values];

    /// <summary>Connects the clients.</summary>
    public static async Task<HonestCrowd> ConnectAsync(Target target, int count)
    {
        HonestCrowd crowd = new();
        try
        {
            for (int i = 0; i < count; i++) crowd._clients.Add(await HonestClient.ConnectAsync(target, i));
            return crowd;
        }
        catch
        {
            crowd.Dispose();
            throw;
        }
    }

    /// <summary>Has all of them ping until a task is complete, and waits for the answers that are still due then.</summary>
    public async Task<Waits> PingUntilAsync(Task happens)
    {
        ConcurrentBag<double> waits = [];
        await Task.WhenAll(_clients.Where(client => !_harmed.ContainsKey(client)).Select((client, i) => PingUntilAsync(client, i, happens, waits)));
        return new Waits(waits);
    }

    /// <inheritdoc/>
    public void Dispose() => _clients.ForEach(client => client.Dispose());

    private async Task PingUntilAsync(HonestClient client, int number, Task happens, ConcurrentBag<double> waits)
    {
        // Spread, so that they do not all send at the same time.
        await Task.Delay(Interval * number / _clients.Count);
        try
        {
            while (!happens.IsCompleted)
            {
                long began = Stopwatch.GetTimestamp();
                await client.PingAsync();
                TimeSpan wait = Stopwatch.GetElapsedTime(began);

                // The pings that were due meanwhile would have waited for the rest of it.
                for (TimeSpan late = wait; late > TimeSpan.Zero; late -= Interval) waits.Add(late.TotalMilliseconds);
                if (wait < Interval) await Task.Delay(Interval - wait);
            }
        }
        catch (Exception harm)
        {
            _harmed[client] = $"client {number}: {harm.Message}";
        }
    }
}
