using System.Net.Sockets;
using System.Text;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Tests.Links;

/// <summary>A running link, with a raw socket at its other end.</summary>
internal sealed class TestLink : IDisposable
{
    private readonly SocketPair _pair;

    public TestLink(LinkOrigin origin, LinkOptions? options = null, TimeSpan? welcomeTimeout = null, int bufferBytes = 0)
    {
        _pair = new SocketPair(bufferBytes);
        options ??= new LinkOptions { Name = "us", SocketBufferBytes = 0 };
        Connection = new LinkConnection(_pair.Ours, origin, options, Handler, Metrics, new LinkLog(Log));
        Running = Connection.RunAsync(welcomeTimeout ?? BoundedWait.Limit);
    }

    public LinkConnection Connection { get; }

    /// <summary>The link, which must be or have been up.</summary>
    public Link Link => Connection.Link!;

    public Socket Peer => _pair.Peer;

    public RecordingHandler Handler { get; } = new();

    public RecordingLog Log { get; } = new();

    public RoleMetrics Metrics { get; } = new(Role.Hub);

    public Task Running { get; }

    /// <summary>Sends one packet.</summary>
    public void Send(ulong id, string content) => Peer.Send(Packets.Of(id, content));

    /// <summary>Reads one packet: <c>7:content</c>; <c>end</c> when the stream has ended.</summary>
    public string Receive()
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
        await BoundedWait.WithinAsync(Running, "the end of the link");
        if (Log.Lines.FirstOrDefault(line => line.Contains("internal error")) is { } line) throw new InvalidOperationException(line);
    }

    public Task HandledAsync(string events) =>
        BoundedWait.UntilAsync(() => Handler.Events == events, $"'{events}'");

    public void Dispose()
    {
        Connection.Dispose();
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
            throw new IOException($"{e.Message}; the link: '{Connection.CloseReason}', {string.Join(" / ", Log.Lines)}", e);
        }
    }
}
