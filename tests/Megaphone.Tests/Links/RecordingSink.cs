using System.Text;
using Megaphone.Links;

namespace Megaphone.Tests.Links;

/// <summary>Notes the packets that a receiver hands over.</summary>
internal sealed class RecordingSink : IPacketSink
{
    private long _packetsTold;
    private long _bytesTold;

    /// <summary>The packets that were taken, as <c>7:content</c>.</summary>
    public List<string> Taken { get; } = [];

    /// <summary>What is answered; asked again for the same packet after <see cref="Outcome.WouldBlock"/>.</summary>
    public Func<ulong, Outcome> Answer { get; set; } = _ => Outcome.Done;

    public Func<Task> Room { get; set; } = () => Task.CompletedTask;

    public (long Packets, long Bytes) Told => (_packetsTold, _bytesTold);

    public Outcome Take(ulong id, ReadOnlySpan<byte> content)
    {
        Outcome outcome = Answer(id);
        if (outcome == Outcome.Done) Taken.Add($"{id}:{Encoding.Latin1.GetString(content)}");
        return outcome;
    }

    public void BatchEnded(int packets, int bytes)
    {
        _packetsTold += packets;
        _bytesTold += bytes;
    }

    public Task WhenRoomAsync() => Room();
}
