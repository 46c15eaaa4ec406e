using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Values;

namespace Megaphone.Tests.Links;

/// <summary>Both ends of one link, with a wire between them that is cut: each end sends numbered packets and checks those of the other.</summary>
internal sealed class ResumedLink : IDisposable
{
    private readonly LinkListener _listener;
    private readonly CuttingWire _wire;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _connecting;

    /// <param name="options">The settings of both ends.</param>
    /// <param name="cuts">How the wire is cut.</param>
    /// <param name="echoes">Whether the accepting end sends back each packet, and takes none for whose answer it has no room.</param>
    /// <param name="ours">TLS of the connecting end.</param>
    /// <param name="theirs">TLS of the accepting end.</param>
    public ResumedLink(LinkOptions options, IEnumerable<CuttingWire.Cut> cuts, bool echoes, LinkTls? ours = null, LinkTls? theirs = null)
    {
        Accepting = new End(echoes);
        LinkLog log = new(Log);
        _listener = new LinkListener(
            new IPEndPoint(IPAddress.Loopback, 0), 1, options, () => Accepting, Accepting.Metrics, log, theirs, TimeSpan.FromSeconds(90));
        _listener.Start();
        _wire = new CuttingWire((IPEndPoint)_listener.Listening, cuts);
        HostPort to = new("127.0.0.1", _wire.Address.Port);
        LinkConnectOptions connect = new()
        {
            To = [to],
            RetryMin = TimeSpan.FromMilliseconds(1),
            RetryMax = TimeSpan.FromMilliseconds(5),
        };
        LinkConnector connector = new(connect, new TargetAddress(to, _wire.Address), options, Connecting, Connecting.Metrics, log, ours)
        {
            Slot = new LinkSlot(0),
        };
        _connecting = connector.RunAsync(_stop.Token);
    }

    public End Connecting { get; } = new(echoes: false);

    public End Accepting { get; }

    public RecordingLog Log { get; } = new();

    public int CutsLeft => _wire.CutsLeft;

    public void Dispose()
    {
        _stop.Cancel();
        Connecting.Link?.Connection!.Close("the test is over");
        _listener.Dispose();
        _listener.LoseCut("the test is over");
        _wire.Dispose();
        _connecting.Wait(BoundedWait.Limit);
        _stop.Dispose();
    }

    /// <summary>One end: what it has sent and received.</summary>
    public sealed class End(bool echoes) : ILinkHandler
    {
        private readonly ConcurrentDictionary<ulong, uint> _next = new();
        private long _received;
        private long _controls;
        private volatile string? _problem;
        private volatile Link? _link;

        public RoleMetrics Metrics { get; } = new(echoes ? Role.Hub : Role.Ecm);

        public Link? Link => _link;

        public long Received => Volatile.Read(ref _received);

        public long Controls => Volatile.Read(ref _controls);

        /// <summary>The first thing that was not as it must be.</summary>
        public string? Problem => _problem;

        /// <summary>Whether sessions were ended.</summary>
        public bool IsDown { get; private set; }

        /// <summary>Sends numbered packets of many lengths on some ids, and control packets between them.</summary>
        public async Task SendAsync(int packets, int seed, int largest)
        {
            Random random = new(seed);
            Dictionary<ulong, uint> next = [];
            Link link = _link!;
            for (int i = 0; i < packets; i++)
            {
                ulong id = (ulong)random.Next(1, 5);
                uint number = next.GetValueOrDefault(id);
                byte[] content = Content(id, number, largest);
                while (!link.TryWrite(id, content)) await Task.Delay(1);
                next[id] = number + 1;
                if (random.Next(4) == 0) link.Flush();
                if (random.Next(20) == 0)
                {
                    SessionControl control = random.Next(3) switch
                    {
                        0 => SessionControl.Pause(id),
                        1 => SessionControl.Resume(id),
                        _ => SessionControl.Reset(id, "ended"),
                    };
                    while (!link.TryWrite(control)) await Task.Delay(1);
                    ControlsSent++;
                }
            }

            link.Flush();
        }

        public long ControlsSent { get; private set; }

        /// <summary>How things stand, for a failure's message.</summary>
        public override string ToString() => _link is not { } link
            ? "no link"
            : $"{Received} packets received, {link.Ring.Queued} bytes to send, {link.Ring.Unacknowledged} not acknowledged, cut: {link.IsCut}, "
                + $"connection closed: {link.Connection!.IsClosed} '{link.Connection!.CloseReason}', ended: {link.Connection!.Closed.IsCompleted}";

        public void OnUp(Link link)
        {
            // The first welcome may be lost: then the connecting end asks for a new link.
            if (_link is not null && Received > 0) _problem ??= "a second link came up";
            _link = link;
            IsDown = false;
        }

        public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
        {
            uint expected = _next.GetValueOrDefault(id);
            uint number = BinaryPrimitives.ReadUInt32LittleEndian(content);
            if (number != expected) _problem ??= $"packet {number} of id {id} came, and not {expected}";
            if (echoes && !link.TryReply(id, content)) return Outcome.WouldBlock;
            if (!content.SequenceEqual(Content(id, number, content.Length))) _problem ??= $"packet {number} of id {id} is not what was sent";
            _next[id] = expected + 1;
            Interlocked.Increment(ref _received);
            return Outcome.Done;
        }

        public void OnControl(Link link, ControlMessage message) => Interlocked.Increment(ref _controls);

        public void OnWritable(Link link)
        {
        }

        public void OnDown(Link link) => IsDown = true;

        /// <summary>The content of a packet, its number first; its length follows from both, and is at most <paramref name="largest"/>.</summary>
        private static byte[] Content(ulong id, uint number, int largest)
        {
            int length = Math.Min(largest, 4 + (int)(((id * 7919) + (number * 104_729UL)) % 6_000));
            byte[] content = new byte[length];
            BinaryPrimitives.WriteUInt32LittleEndian(content, number);
            for (int i = 4; i < length; i++) content[i] = (byte)(number + (uint)i + id);
            return content;
        }
    }
}
