using System.Text;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Tests.Reactor;

/// <summary>What a <see cref="TestHandler"/> knows of one connection. Written by the reactor, read by the test.</summary>
internal sealed class TestConnection
{
    private readonly List<byte> _received = [];
    private readonly List<string> _events = [];

    public ConnectionId Id { get; set; }

    public int Owner { get; set; }

    /// <summary>Addresses to try after the first.</summary>
    public Queue<NativeAddress> Others { get; } = new();

    public CloseReason? Closed { get; private set; }

    /// <summary>What could still be seen when it was about to be closed, and why it was.</summary>
    public (SurveyedConnection Seen, NativeAddress Local, CloseReason Reason)? Closing { get; set; }

    /// <summary>
    /// The handler's calls, in order: <c>connected</c>, <c>high</c>, <c>low</c>, <c>half-closed</c>, <c>closed</c> with its reason.
    /// </summary>
    public string Events
    {
        get
        {
            lock (_events) return string.Join(' ', _events);
        }
    }

    public byte[] Received
    {
        get
        {
            lock (_received) return [.. _received];
        }
    }

    public string Text => Encoding.ASCII.GetString(Received);

    public void Receive(ReadOnlySpan<byte> bytes)
    {
        lock (_received) _received.AddRange(bytes);
    }

    public void Note(string what)
    {
        lock (_events) _events.Add(what);
    }

    public void Close(CloseReason reason)
    {
        Note($"closed:{reason}");
        Closed = reason;
    }
}
