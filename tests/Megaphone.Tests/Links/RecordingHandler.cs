using System.Collections.Concurrent;
using System.Text;
using Megaphone.Links;
using Megaphone.Protocol;

namespace Megaphone.Tests.Links;

/// <summary>Records the events of a link.</summary>
internal sealed class RecordingHandler : ILinkHandler
{
    private readonly ConcurrentQueue<string> _events = new();
    private int _writableCalls;

    /// <summary>The events in order: <c>up</c>, <c>7:content</c>, <c>pause 7</c>, <c>down</c>.</summary>
    public string Events => string.Join(", ", _events);

    /// <summary>How often OnWritable was called. Called on any thread, and so not in order with the events.</summary>
    public int WritableCalls => Volatile.Read(ref _writableCalls);

    /// <summary>Whether a packet of an id is accepted.</summary>
    public Func<ulong, bool> Accepts { get; set; } = _ => true;

    /// <summary>Called when the link is up, before that is an event.</summary>
    public Action<Link> WhenUp { get; set; } = _ => { };

    public void OnUp(Link link)
    {
        WhenUp(link);
        _events.Enqueue("up");
    }

    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        if (!Accepts(id)) return Outcome.WouldBlock;
        _events.Enqueue($"{id}:{Encoding.UTF8.GetString(content)}");
        return Outcome.Done;
    }

    public void OnControl(Link link, ControlMessage message) =>
        _events.Enqueue($"{message.Op.ToString().ToLowerInvariant()} {message.Id}".TrimEnd());

    public void OnWritable(Link link) => Interlocked.Increment(ref _writableCalls);

    public void OnDown(Link link) => _events.Enqueue("down");
}
