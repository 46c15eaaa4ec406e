using System.Diagnostics;
using System.Text;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public sealed class MessageTrafficTests : IDisposable
{
    private const int Users = 10;
    private const int Count = 200;

    private readonly SessionStore _sessions = new(Users);
    private readonly int[] _last = new int[Users];

    public MessageTrafficTests()
    {
        for (int i = 0; i < Users; i++) _sessions[i].TrySetLocal(Encoding.UTF8.GetBytes($"u{i}"));
    }

    public void Dispose() => _sessions.Dispose();

    [Fact]
    public void Each_message_is_addressed_to_another_user_and_carries_its_number()
    {
        MessageTraffic traffic = Traffic();
        for (int number = 0; number < Count; number++)
        {
            string text = Written(traffic, number);
            int receiver = ReceiverOf(text);
            Assert.Equal($"<message to='u{receiver}@localhost' type='chat' id='{number}'><body>xxxxx</body></message>", text);
            Assert.NotEqual(traffic.SenderOf(number), receiver);
        }
    }

    [Fact]
    public void Each_user_writes_to_one_other_and_receives_from_one()
    {
        MessageTraffic traffic = Traffic();
        (int Sender, int Receiver)[] pairs = [.. Enumerable.Range(0, Count)
            .Select(number => (traffic.SenderOf(number), ReceiverOf(Written(traffic, number)))).Distinct().Order()];

        Assert.Equal(Users, pairs.Length);
        Assert.Equal(Enumerable.Range(0, Users), pairs.Select(pair => pair.Sender));
        Assert.Equal(Users, pairs.Select(pair => pair.Receiver).Distinct().Count());
    }

    [Fact]
    public void A_few_users_may_write_to_all_the_others_each_of_whom_receives_from_one()
    {
        MessageTraffic traffic = Traffic(senders: 3);
        (int Sender, int Receiver)[] pairs = [.. Enumerable.Range(0, Count)
            .Select(number => (traffic.SenderOf(number), ReceiverOf(Written(traffic, number)))).Distinct()];
        int[] senders = [.. pairs.Select(pair => pair.Sender).Distinct()];
        int[] receivers = [.. pairs.Select(pair => pair.Receiver)];

        Assert.Equal(3, senders.Length);
        Assert.Equal(Enumerable.Range(0, Users).Except(senders), receivers.Order());
    }

    [Fact]
    public void Messages_that_arrive_in_order_are_counted_as_arrived_only()
    {
        MessageTraffic traffic = Traffic();
        for (int number = 0; number < Count; number++) Deliver(traffic, Written(traffic, number));

        Assert.Equal((Count, 0, 0, 0), (traffic.Arrived, traffic.Duplicates, traffic.OutOfOrder, traffic.Unexpected));
        Assert.Equal(Count, traffic.Latencies.Count);
    }

    [Fact]
    public void Duplicate_misordered_and_unexpected_messages_are_counted_apart()
    {
        MessageTraffic traffic = Traffic();
        string first = Written(traffic, 0);
        int later = Enumerable.Range(1, Count - 1).First(number => traffic.SenderOf(number) == traffic.SenderOf(0));

        Deliver(traffic, Written(traffic, later));
        Deliver(traffic, first);
        Deliver(traffic, first);
        Deliver(traffic, first, to: (ReceiverOf(first) + 1) % Users);
        Deliver(traffic, $"<message id='{Count}'/>", to: 0);
        Deliver(traffic, "<message id='x'/>", to: 0);
        Deliver(traffic, "<message/>", to: 0);

        Assert.Equal((2, 1, 1, 4), (traffic.Arrived, traffic.Duplicates, traffic.OutOfOrder, traffic.Unexpected));
    }

    [Fact]
    public void A_latency_counts_from_when_the_message_was_due()
    {
        long begin = Stopwatch.GetTimestamp() - 10 * Stopwatch.Frequency;
        MessageTraffic traffic = new([.. Enumerable.Range(0, Users)], Count, new Schedule(begin, 100), 5, "localhost");
        Deliver(traffic, Written(traffic, 100));

        Assert.InRange(traffic.Latencies.Max, 9e6, 60e6);
    }

    [Fact]
    public void Without_a_domain_messages_come_back_to_their_sender()
    {
        MessageTraffic traffic = new([3], Count, default, 2, domain: null);

        Assert.Equal("<message type='chat' id='7'><body>xx</body></message>", Written(traffic, 7));
        Deliver(traffic, Written(traffic, 7), to: 3);
        Assert.Equal((1, 0), (traffic.Arrived, traffic.Unexpected));
    }

    private static MessageTraffic Traffic(int senders = 0) =>
        new([.. Enumerable.Range(0, Users)], Count, new Schedule(Stopwatch.GetTimestamp(), 1e6), 5, "localhost", senders);

    private static int ReceiverOf(string text) => text.Split('\'')[1][1] - '0';

    private string Written(MessageTraffic traffic, int number)
    {
        byte[] bytes = new byte[traffic.MaxBytes];
        return Encoding.UTF8.GetString(bytes, 0, traffic.Write(number, _sessions, bytes));
    }

    private void Deliver(MessageTraffic traffic, string text, int? to = null)
    {
        int index = to ?? ReceiverOf(text);
        Assert.Null(traffic.Receive(index, ref _last[index], Encoding.UTF8.GetBytes(text)));
    }
}
