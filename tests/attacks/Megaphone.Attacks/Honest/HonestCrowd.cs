using System.Collections.Concurrent;
using System.Diagnostics;

namespace Megaphone.Attacks;

/// <summary>Honest clients that chat at a fixed rate, each with one other, and how long their messages are under way.</summary>
/// <remarks>Where nothing but an echo answers, they talk to that.</remarks>
internal sealed class HonestCrowd : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Clients that connect at the same time: fewer than one address may log in at once.</summary>
    private const int AtOnce = 10;

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
            foreach (int[] some in Enumerable.Range(0, count).Chunk(AtOnce))
                crowd._clients.AddRange(await Task.WhenAll(some.Select(i => HonestClient.ConnectAsync(target, i))));

            // Of each pair one speaks TLS.
            for (int i = 0; i + 1 < count; i += 2) HonestClient.Pair(crowd._clients[i], crowd._clients[i + 1]);
            return crowd;
        }
        catch
        {
            crowd.Dispose();
            throw;
        }
    }

    /// <summary>Has all of them chat until a task is complete, and waits for the messages that are under way then.</summary>
    public async Task<Waits> ChatUntilAsync(Task happens)
    {
        ConcurrentBag<double> waits = [];
        await Task.WhenAll(_clients.Where(client => !_harmed.ContainsKey(client)).Select((client, i) => ChatUntilAsync(client, i, happens, waits)));
        return new Waits(waits);
    }

    /// <inheritdoc/>
    public void Dispose() => _clients.ForEach(client => client.Dispose());

    private async Task ChatUntilAsync(HonestClient client, int number, Task happens, ConcurrentBag<double> waits)
    {
        // Spread, so that they do not all send at the same time.
        await Task.Delay(Interval * number / _clients.Count);
        try
        {
            while (!happens.IsCompleted)
            {
                long began = Stopwatch.GetTimestamp();
                await client.SayAsync();
                TimeSpan wait = Stopwatch.GetElapsedTime(began);

                // The messages that were due meanwhile would have waited for the rest of it.
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
