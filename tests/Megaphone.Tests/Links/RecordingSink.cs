using System.Text;
using Megaphone.Links;

namespace Megaphone.Tests.Links;

/// <summary>Records the packets that a receiver hands over.</summary>
internal sealed class RecordingSink : IPacketSink
{
    private long _packets;
    private long _bytes;

    /// <summary>The accepted packets, as <c>7:content</c>.</summary>
    public List<string> Accepted { get; } = [];

    /// <summary>The outcome for a packet of an id; called again for the same packet after <see cref="Outcome.WouldBlock"/>.</summary>
    public Func<ulong, Outcome> Answer { get; set; } = _ => Outcome.Done;

    public Func<Task> Room { get; set; } = () => Task.CompletedTask;

    public int Window { get; init; }

    public (long Packets, long Bytes) Counted => (_packets, _bytes);

    public Outcome Accept(ulong id, ReadOnlySpan<byte> content)
    {
        Outcome outcome = Answer(id);
        if (outcome == Outcome.Done) Accepted.Add($"{id}:{Encoding.Latin1.GetString(content)}");
        return outcome;
    }

    public void OnBatchEnd(int packets, int bytes)
    {
        _packets += packets;
        _bytes += bytes;
    }

    public Task WaitForRoomAsync() => Room();
}
