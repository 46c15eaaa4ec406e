using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>Logins of honest clients, one after the other, and how long each took from its first attempt on.</summary>
/// <param name="Waits">The times. Of a login that was given up, as long as that took.</param>
/// <param name="Done">How many were finished.</param>
/// <param name="GivenUp">How often a client had not logged in in time, closed its connection and came back.</param>
internal sealed record HonestLogins(Waits Waits, int Done, int GivenUp)
{
    private const int Clients = 4;
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);

    /// <summary>Logs in until it is time to end. Logins that have begun then go on.</summary>
    /// <param name="to">The address to connect to.</param>
    /// <param name="patience">How long a client waits before it closes its connection and comes back.</param>
    /// <param name="most">How long a login may take before it is given up.</param>
    /// <param name="end">When to end.</param>
    public static async Task<HonestLogins> MakeAsync(IPEndPoint to, TimeSpan patience, TimeSpan most, CancellationToken end)
    {
        List<double> waits = [];
        int done = 0, givenUp = 0;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            while (!end.IsCancellationRequested)
            {
                long began = Stopwatch.GetTimestamp();
                bool isDone = false;
                while (!isDone && Stopwatch.GetElapsedTime(began) < most)
                {
                    isDone = await TryLogInAsync(to, patience);
                    Interlocked.Increment(ref isDone ? ref done : ref givenUp);
                }

                lock (waits) waits.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                await Task.Delay(Rest, CancellationToken.None);
            }
        }));
        return new HonestLogins(new Waits(waits), done, givenUp);
    }

    private static async Task<bool> TryLogInAsync(IPEndPoint to, TimeSpan patience)
    {
        try
        {
            using XmppClient client = await XmppClient.ConnectAsync(to).WaitAsync(patience);
            await client.LogInAsync().WaitAsync(patience);
            return true;
        }
        catch (Exception failed) when (failed is IOException or SocketException or TimeoutException or OperationCanceledException
            or ObjectDisposedException or InvalidOperationException)
        {
            return false;
        }
    }
}
