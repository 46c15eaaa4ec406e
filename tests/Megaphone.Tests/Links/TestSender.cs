using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Metrics;

namespace Megaphone.Tests.Links;

/// <summary>A ring with a sender, as a link has them.</summary>
internal sealed class TestSender
{
    private readonly SendRing _ring;
    private readonly LinkSender _sender;
    private readonly TaskCompletionSource<string?> _failed = new();

    public TestSender(Socket socket, int ringBytes, string name, RoleMetrics metrics, Action? onWritable = null, SecuredSocket? secured = null)
    {
        _ring = new SendRing(ringBytes, ringBytes / 4, onWritable ?? (() => { }), lost => metrics.AddDropped(DropReason.LinkLost, lost));
        _sender = new LinkSender(_ring, socket, secured, name, Counters, metrics, OnEnded);
    }

    public LinkCounters Counters { get; } = new();

    /// <summary>Completes when the thread has ended.</summary>
    public Task Ended => _sender.Ended;

    /// <summary>Completes when the socket has failed.</summary>
    public Task Failed => _failed.Task;

    /// <summary>How often the sender has reported its end.</summary>
    public int Ends { get; private set; }

    public bool TryClaim(int contentBytes, out RingClaim claim)
    {
        if (_ring.TryClaim(contentBytes, out claim)) return true;
        _sender.Wake();
        return false;
    }

    public bool TryWrite(ulong id, ReadOnlySpan<byte> content)
    {
        if (!TryClaim(content.Length, out RingClaim claim)) return false;
        claim.Commit(id, content);
        return true;
    }

    public void Flush() => _sender.Flush();

    public void Drain() => _sender.Drain();

    public void Stop() => _sender.Stop();

    private void OnEnded(string? failure)
    {
        Ends++;
        _ring.Close();
        if (failure is not null) _failed.SetResult(failure);
    }
}
