using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Microsoft.Extensions.Time.Testing;

namespace Megaphone.Tests.Links;

/// <summary>A listener whose links can be resumed, and raw sockets that play the ECM's end of them.</summary>
internal sealed class ListenedLink : IDisposable
{
    private readonly LinkListener _listener;
    private readonly List<Socket> _peers = [];
    private readonly List<RecordingHandler> _handlers = [];
    private readonly Dictionary<RecordingHandler, Link> _links = [];

    public ListenedLink(int maxLinks = 2, int timeoutSeconds = 90)
    {
        _listener = new LinkListener(
            new IPEndPoint(IPAddress.Loopback, 0),
            maxLinks,
            new LinkOptions { Name = "us", Time = Time, SocketBufferBytes = 0 },
            NewHandler,
            Metrics,
            new LinkLog(Log),
            resumeTimeout: TimeSpan.FromSeconds(timeoutSeconds));
        _listener.Start();
    }

    public FakeTimeProvider Time { get; } = new();

    public RoleMetrics Metrics { get; } = new(Role.Hub);

    public RecordingLog Log { get; } = new();

    /// <summary>Called when a link is up, which the other end knows already.</summary>
    public Action<Link> WhenUp { get; set; } = _ => { };

    /// <summary>The handlers of all links that came up, in order.</summary>
    public RecordingHandler[] Links
    {
        get
        {
            lock (_handlers) return [.. _handlers.Where(handler => handler.Events.Length > 0)];
        }
    }

    /// <summary>Whether a <c>hello</c> that asks for a link finds it.</summary>
    public bool IsRegistered(Link link) => _listener.Registrations.ContainsKey(link);

    public static string Hello(string resume, string name = "them") =>
        $$$"""{"op":"hello","version":1,"name":"{{{name}}}","resume":{{{resume}}}}""";

    /// <summary>The offer of a new link.</summary>
    public static string Offer(string instance = "i1", int slot = 0, int window = 2_097_152) =>
        $$"""{"instance":"{{instance}}","slot":{{slot}},"window":{{window}}}""";

    /// <summary>The request for a link that was cut.</summary>
    public static string Request(string token, long received, string instance = "i1", int slot = 0) =>
        $$"""{"instance":"{{instance}}","slot":{{slot}},"window":2097152,"token":"{{token}}","received":"{{received}}"}""";

    /// <summary>Connects, and sends one packet on id 0.</summary>
    public Socket Connect(string hello)
    {
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        peer.ReceiveTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        peer.Connect(_listener.Listening);
        _peers.Add(peer);
        Send(peer, 0, hello);
        return peer;
    }

    /// <summary>Connects, and gets the welcome's member <c>resume</c>.</summary>
    public (Socket Peer, JsonElement Resume) Open(string hello)
    {
        Socket peer = Connect(hello);
        string welcome = Receive(peer);
        return (peer, JsonDocument.Parse(welcome[2..]).RootElement.GetProperty("resume"));
    }

    /// <summary>Connects a new link, and gets its token.</summary>
    public (Socket Peer, string Token) OpenNew(string? offer = null, string name = "them")
    {
        (Socket peer, JsonElement resume) = Open(Hello(offer ?? Offer(), name));
        return (peer, resume.GetProperty("token").GetString()!);
    }

    public static void Send(Socket peer, ulong id, string content) => peer.Send(Packets.Of(id, content));

    /// <summary>Reads one packet: <c>7:content</c>; <c>end</c> when the connection has ended, in order or not.</summary>
    public static string Receive(Socket peer)
    {
        byte[] header = new byte[PacketHeader.Size];
        if (!Fill(peer, header)) return "end";
        _ = PacketHeader.TryParse(header, 1 << 20, out PacketHeader parsed);
        byte[] content = new byte[parsed.ContentLength];
        return Fill(peer, content) ? $"{parsed.ConnectionId}:{Encoding.UTF8.GetString(content)}" : "end in the middle";
    }

    /// <summary>The connection of a link, by when it came up.</summary>
    public LinkConnection Connection(int link) => Link(link).Connection!;

    /// <summary>Sends a packet over a link, by when it came up, or queues it while that is cut.</summary>
    public void WriteTo(int link, ulong id, string content)
    {
        Link to = Link(link);
        if (!to.TryWrite(id, Encoding.UTF8.GetBytes(content))) throw new InvalidOperationException("There is no room.");
        to.Flush();
    }

    /// <summary>Ends a connection without a word, and waits until its link is cut.</summary>
    public async Task CutAsync(Socket peer)
    {
        long before = Metrics.LinkCuts;
        peer.Close(0);
        await BoundedWait.UntilAsync(() => Metrics.LinkCuts == before + 1, "the cut");
    }

    /// <summary>Has the listener stand still.</summary>
    public Task SuspendAsync() => _listener.SuspendAsync();

    /// <summary>Has the listener go on.</summary>
    public void GoOn() => _listener.Start();

    /// <summary>Waits until so much of a link's stream counts as received.</summary>
    public Task ReceivedAsync(int link, long bytes) =>
        BoundedWait.UntilAsync(() => Link(link).Acknowledger!.Received == bytes, $"{bytes} bytes");

    public Task HandledAsync(int link, string events) =>
        BoundedWait.UntilAsync(() => Links.Length > link && Links[link].Events == events, $"'{events}'");

    public void Dispose()
    {
        _listener.Dispose();
        foreach (LinkConnection connection in _listener.Connections()) connection.CloseForGood("the test is over");
        _listener.LoseCut("the test is over");
        _peers.ForEach(peer => peer.Dispose());
    }

    private Link Link(int link)
    {
        lock (_handlers) return _links[Links[link]];
    }

    private RecordingHandler NewHandler()
    {
        RecordingHandler handler = new();
        handler.WhenUp = up =>
        {
            lock (_handlers) _links[handler] = up;
            WhenUp(up);
        };
        lock (_handlers) _handlers.Add(handler);
        return handler;
    }

    private static bool Fill(Socket peer, byte[] buffer)
    {
        try
        {
            for (int there = 0, got; there < buffer.Length; there += got)
            {
                if ((got = peer.Receive(buffer, there, buffer.Length - there, SocketFlags.None)) == 0) return false;
            }

            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return false;
        }
    }
}
