using System.Text;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Tests.Reactor;

/// <summary>What a <see cref="TestHandler"/> knows of one connection. Written by the reactor, read by the test.</summary>
internal sealed class TestConnection
{
    private readonly List<byte> _received = [];
    private readonly List<string> _told = [];

    public ConnectionId Id { get; set; }

    public int Owner { get; set; }

    /// <summary>Addresses to try after the first.</summary>
    public Queue<NativeAddress> Others { get; } = new();

    public CloseReason? Closed { get; private set; }

    /// <summary>What was told, in order: <c>connected</c>, <c>slow</c>, <c>fast</c>, <c>end</c>, and <c>closed</c> with its reason.</summary>
    public string Told
    {
        get
        {
            lock (_told) return string.Join(' ', _told);
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

    public void Take(ReadOnlySpan<byte> bytes)
    {
        lock (_received) _received.AddRange(bytes);
    }

    public void Tell(string what)
    {
        lock (_told) _told.Add(what);
    }

    public void Close(CloseReason reason)
    {
        Tell($"closed:{reason}");
        Closed = reason;
    }
}
