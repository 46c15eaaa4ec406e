using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd.Support;

/// <summary>One end of a link in a test's hands: an ECM towards the hub, or a hub towards the ECM.</summary>
/// <remarks>It reads only when asked to, one packet at a time; pings met on the way are answered.</remarks>
internal sealed class LinkPeer(Socket socket) : IDisposable
{
    /// <summary>The kernel's TCP_WINDOW_CLAMP, for which .NET has no name.</summary>
    private const int WindowClamp = 10;

    private readonly Socket _socket = socket;
    private readonly BufferedStream _input = new(new NetworkStream(socket), 256 << 10);
    private readonly SemaphoreSlim _sending = new(1);

    /// <summary>Bytes sent so far.</summary>
    public int BytesSent { get; private set; }

    /// <summary>Whether pings are answered.</summary>
    public bool AnswersPings { get; set; } = true;

    /// <summary>An ECM that supports only sections 1 to 3: it connects and sends nothing.</summary>
    public static Task<LinkPeer> PlainEcmAsync(MegaphoneProcess hub, int? receiveBuffer = null) => PlainEcmAsync(hub.Hub, receiveBuffer);

    /// <summary>An ECM that supports only sections 1 to 3: it connects and sends nothing.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for a link that is not read; null: as it likes.</param>
    /// <param name="from">Where from; null: the kernel chooses.</param>
    public static async Task<LinkPeer> PlainEcmAsync(IPEndPoint to, int? receiveBuffer = null, IPAddress? from = null)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (from is not null) socket.Bind(new IPEndPoint(from, 0));
        if (receiveBuffer is { } bytes)
        {
            // Never more at a time than fits whatever the segments cost. A kernel that has promised more throws segments away when
            // the buffer is full, and with them, and all that come behind, the acknowledgements of what this end sends.
            socket.ReceiveBufferSize = bytes;
            socket.SetRawSocketOption((int)ProtocolType.Tcp, WindowClamp, BitConverter.GetBytes(bytes / 16));
        }

        await BoundedWait.WithinAsync(socket.ConnectAsync(to), "a link");
        return new LinkPeer(socket);
    }

    /// <summary>An ECM that has sent hello and has got its welcome.</summary>
    public static Task<LinkPeer> EcmAsync(MegaphoneProcess hub, string? secret = null, int? receiveBuffer = null) =>
        EcmAsync(hub.Hub, secret, receiveBuffer);

    /// <summary>An ECM that has sent hello and has got its welcome.</summary>
    public static async Task<LinkPeer> EcmAsync(IPEndPoint to, string? secret = null, int? receiveBuffer = null, string framing = "bytes")
    {
        LinkPeer link = await PlainEcmAsync(to, receiveBuffer);
        await link.SendControlAsync(Hello(secret, framing: framing));
        Assert.Equal("welcome", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        return link;
    }

    /// <summary>An ECM's first packet.</summary>
    public static string Hello(string? secret = null, int version = 1, string framing = "bytes") => secret is null
        ? $$"""{"op":"hello","version":{{version}},"name":"test","framing":"{{framing}}","maxPacket":1048576}"""
        : $$"""{"op":"hello","version":{{version}},"name":"test","secret":"{{secret}}","framing":"{{framing}}","maxPacket":1048576}""";

    /// <summary>Sends bytes as they are.</summary>
    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes)
    {
        await BoundedWait.WithinAsync(_sending.WaitAsync(), "the sender before");
        try
        {
            while (bytes.Length > 0)
            {
                int sent = await BoundedWait.WithinAsync(_socket.SendAsync(bytes).AsTask(), "room on the link");
                BytesSent += sent;
                bytes = bytes[sent..];
            }
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Sends one packet.</summary>
    public Task SendAsync(ulong id, ReadOnlyMemory<byte> content) => SendRawAsync(Packet.Format(id, content.Span));

    /// <summary>Sends one packet of ASCII text.</summary>
    public Task SendAsync(ulong id, string content) => SendRawAsync(Packet.Format(id, content));

    /// <summary>Sends the empty packet that ends this end's direction of a session.</summary>
    public Task SendEndAsync(ulong id) => SendAsync(id, ReadOnlyMemory<byte>.Empty);

    /// <summary>Sends a control packet.</summary>
    public Task SendControlAsync(string json) => SendAsync(0, Encoding.UTF8.GetBytes(json));

    /// <summary>Reads the next packet that is no ping.</summary>
    /// <exception cref="EndOfStreamException">The link ended.</exception>
    public async Task<Packet> ReceiveAsync()
    {
        while (true)
        {
            byte[] header = await ReadAsync(Packet.HeaderSize);
            int length = int.Parse(header.AsSpan(0, 10), CultureInfo.InvariantCulture);
            ulong id = ulong.Parse(header.AsSpan(11, 20), CultureInfo.InvariantCulture);
            Assert.Equal((byte)'|', header[10]);
            Assert.Equal((byte)'|', header[31]);
            Packet packet = new(id, await ReadAsync(length - Packet.HeaderSize));
            if (id != 0 || !AnswersPings || packet.Json.GetProperty("op").GetString() != "ping") return packet;

            await SendControlAsync($$"""{"op":"pong","token":{{packet.Json.GetProperty("token").GetRawText()}}}""");
        }
    }

    /// <summary>Reads the next packet, which must be a control packet.</summary>
    public async Task<JsonElement> ReceiveControlAsync()
    {
        Packet packet = await ReceiveAsync();
        Assert.Equal(0UL, packet.Id);
        return packet.Json;
    }

    /// <summary>Reads the next packet, which must be a control packet with this op and id.</summary>
    public async Task AssertControlAsync(string op, ulong id)
    {
        JsonElement message = await ReceiveControlAsync();
        Assert.Equal(op, message.GetProperty("op").GetString());
        Assert.Equal(id.ToString(CultureInfo.InvariantCulture), message.GetProperty("id").GetString());
    }

    /// <summary>Reads packets of one session until so many bytes have come.</summary>
    public async Task<byte[]> ReceiveBytesAsync(ulong id, int count)
    {
        using MemoryStream all = new();
        while (all.Length < count)
        {
            Packet packet = await ReceiveAsync();
            Assert.Equal(id, packet.Id);
            Assert.False(packet.IsEnd, $"The session ended {count - all.Length} bytes before what was expected.");
            all.Write(packet.Content);
        }

        return all.ToArray();
    }

    /// <summary>Reads packets of one session until it is ended.</summary>
    public async Task<byte[]> ReceiveToEndAsync(ulong id)
    {
        using MemoryStream all = new();
        while (true)
        {
            Packet packet = await ReceiveAsync();
            Assert.Equal(id, packet.Id);
            if (packet.IsEnd) return all.ToArray();
            all.Write(packet.Content);
        }
    }

    /// <summary>Reads the next packet, which must be the end of this session.</summary>
    public async Task AssertEndAsync(ulong id)
    {
        Packet packet = await ReceiveAsync();
        Assert.Equal((id, ""), (packet.Id, packet.Text));
    }

    /// <summary>Sends something on a session to an echo and asserts that it is returned.</summary>
    public async Task AssertEchoesAsync(ulong id, string text = "is anybody there?")
    {
        await SendAsync(id, text);
        Assert.Equal(text, Encoding.ASCII.GetString(await ReceiveBytesAsync(id, text.Length)));
    }

    /// <summary>Asserts that the other end closes the link, and sends nothing before it.</summary>
    public async Task AssertClosesAsync()
    {
        int read;
        try
        {
            read = await BoundedWait.WithinAsync(_input.ReadAsync(new byte[1]).AsTask(), "the end of the link");
        }
        catch (IOException)
        {
            read = 0;
        }

        Assert.Equal(0, read);
    }

    /// <summary>Asserts that nothing arrives for a while.</summary>
    public async Task AssertStaysSilentAsync()
    {
        await BoundedWait.NeverAsync(() => _socket.Poll(0, SelectMode.SelectRead), "there is something to read, or the link has ended");
    }

    /// <summary>Ends this direction; the other one stays.</summary>
    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Tears the link down with a reset.</summary>
    public void Abort() => _socket.Close(0);

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        _input.Dispose();
        _sending.Dispose();
    }

    private async Task<byte[]> ReadAsync(int count)
    {
        byte[] bytes = new byte[count];
        await BoundedWait.WithinAsync(_input.ReadExactlyAsync(bytes).AsTask(), $"{count} bytes over the link");
        return bytes;
    }
}
