using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>One thread sleeps, another wakes it, and no wake-up is lost.</summary>
public class ParkerTests
{
    [Fact]
    public async Task Two_threads_that_wake_each_other_never_stop()
    {
        const int rounds = 50_000;
        Parker left = new();
        Parker right = new();
        int ball = 0;
        Task both = Task.WhenAll(
            RunOnThread(() => Play(left, right, rounds, ref ball, mine: 0)),
            RunOnThread(() => Play(right, left, rounds, ref ball, mine: 1)));

        await BoundedWait.WithinAsync(both, $"{rounds} rounds; the ball is at {Volatile.Read(ref ball)}");
        Assert.Equal(2 * rounds, ball);
    }

    [Fact]
    public async Task Many_threads_that_wake_one_lose_nothing()
    {
        const int wakers = 4;
        const int each = 20_000;
        Parker parker = new();
        int made = 0;
        int taken = 0;
        Task sleeper = RunOnThread(() =>
        {
            while (taken < wakers * each)
            {
                parker.Announce();
                if (Volatile.Read(ref made) == taken) parker.Sleep();
                else parker.Withdraw();
                taken = Volatile.Read(ref made);
            }
        });
        Task[] makers = [.. Enumerable.Range(0, wakers).Select(maker => RunOnThread(() =>
        {
            Random random = new(maker);
            for (int i = 0; i < each; i++)
            {
                Interlocked.Increment(ref made);
                parker.Wake();
                Thread.SpinWait(random.Next(40));
            }
        }))];

        await BoundedWait.WithinAsync(Task.WhenAll([sleeper, .. makers]), $"the sleeper, which has seen {taken} of {wakers * each}");
    }

    [Fact]
    public async Task A_wake_up_between_announcement_and_sleep_is_not_lost()
    {
        Parker parker = new();
        Task sleeper = RunOnThread(() =>
        {
            parker.Announce();
            parker.Wake();
            parker.Sleep();
        });
        await BoundedWait.WithinAsync(sleeper, "a sleep that was over before it began");
    }

    private static void Play(Parker own, Parker other, int rounds, ref int ball, int mine)
    {
        for (int round = 0; round < rounds; round++)
        {
            while (true)
            {
                own.Announce();
                if (Volatile.Read(ref ball) % 2 == mine) break;
                own.Sleep();
            }

            own.Withdraw();
            Volatile.Write(ref ball, ball + 1);
            other.Wake();
        }
    }

    private static Task RunOnThread(Action action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
