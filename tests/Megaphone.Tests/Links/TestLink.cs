using System.Net.Sockets;
using System.Text;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Tests.Links;

/// <summary>A link that runs, with a raw socket at its other end.</summary>
internal sealed class TestLink : IDisposable
{
    private readonly SocketPair _pair;

    public TestLink(LinkPhase phase, LinkOptions? options = null, TimeSpan? welcomeTimeout = null, int bufferBytes = 0)
    {
        _pair = new SocketPair(bufferBytes);
        Link = new Link(_pair.Ours, phase, options ?? new LinkOptions { Name = "us", SocketBufferBytes = 0 }, Handler, Metrics, new LinkLog(Log));
        Running = Link.RunAsync(welcomeTimeout ?? Patience.Long);
    }

    public Link Link { get; }

    public Socket Peer => _pair.Peer;

    public RecordingHandler Handler { get; } = new();

    public RecordingLog Log { get; } = new();

    public RoleMetrics Metrics { get; } = new(Role.Hub);

    public Task Running { get; }

    /// <summary>Sends one packet.</summary>
    public void Say(ulong id, string content) => Peer.Send(Packets.Of(id, content));

    /// <summary>Reads one packet: <c>7:content</c>; <c>end</c> when the stream has ended.</summary>
    public string Hear()
    {
        byte[] header = new byte[PacketHeader.Size];
        if (!Fill(header)) return "end";
        if (!PacketHeader.TryParse(header, 1 << 20, out PacketHeader parsed)) return "malformed";
        byte[] content = new byte[parsed.ContentLength];
        return Fill(content) ? $"{parsed.ConnectionId}:{Encoding.UTF8.GetString(content)}" : "end in the middle";
    }

    /// <summary>Waits until the link is over, without an error of its own.</summary>
    public async Task OverAsync()
    {
        await Patience.WithinAsync(Running, "the end of the link");
        if (Log.Lines.FirstOrDefault(line => line.Contains("error of our own")) is { } line) throw new InvalidOperationException(line);
    }

    public Task HandledAsync(string events) =>
        Patience.UntilAsync(() => Handler.Events == events, $"'{events}'");

    public void Dispose()
    {
        Link.Dispose();
        _pair.Dispose();
    }

    private bool Fill(byte[] buffer)
    {
        try
        {
            for (int there = 0, got; there < buffer.Length; there += got)
            {
                if ((got = Peer.Receive(buffer, there, buffer.Length - there, SocketFlags.None)) == 0) return false;
            }

            return true;
        }
        catch (SocketException e)
        {
            throw new IOException($"{e.Message}; the link: '{Link.CloseReason}', {string.Join(" / ", Log.Lines)}", e);
        }
    }
}
