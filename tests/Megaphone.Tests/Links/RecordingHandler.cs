using System.Collections.Concurrent;
using System.Text;
using Megaphone.Links;
using Megaphone.Protocol;

namespace Megaphone.Tests.Links;

/// <summary>Notes what a link hands over.</summary>
internal sealed class RecordingHandler : ILinkHandler
{
    private readonly ConcurrentQueue<string> _events = new();
    private int _roomCalls;

    /// <summary>What came, in order: <c>up</c>, <c>7:content</c>, <c>pause 7</c>, <c>down</c>.</summary>
    public string Events => string.Join(", ", _events);

    /// <summary>How often there was room again. Comes on any thread, and so in no order with the rest.</summary>
    public int RoomCalls => Volatile.Read(ref _roomCalls);

    /// <summary>Whether a packet is taken.</summary>
    public Func<ulong, bool> Takes { get; set; } = _ => true;

    /// <summary>What is done when the link is up.</summary>
    public Action<Link> WhenUp { get; set; } = _ => { };

    public void OnUp(Link link)
    {
        _events.Enqueue("up");
        WhenUp(link);
    }

    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        if (!Takes(id)) return Outcome.WouldBlock;
        _events.Enqueue($"{id}:{Encoding.UTF8.GetString(content)}");
        return Outcome.Done;
    }

    public void OnControl(Link link, ControlMessage message) =>
        _events.Enqueue($"{message.Op.ToString().ToLowerInvariant()} {message.Id}".TrimEnd());

    public void OnBatchEnded(Link link)
    {
    }

    public void OnWritable(Link link) => Interlocked.Increment(ref _roomCalls);

    public void OnDown(Link link) => _events.Enqueue("down");
}
