using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd.Support;

/// <summary>One client's XMPP stream in a test's hands, over TCP or as a session of a <c>StanzaEcm</c>.</summary>
/// <remarks>Input is kept until it is expected. One caller at a time.</remarks>
internal sealed class XmppClient : IDisposable
{
    /// <summary>The beginning of a client's stream.</summary>
    public const string Header =
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

    /// <summary>What a client hears from the ECM when its server is gone, or the ECM goes.</summary>
    public const string Shutdown =
        "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

    private readonly Func<byte[], Task> _send;
    private readonly Socket? _socket;
    private readonly Lock _gate = new();
    private readonly StringBuilder _heard = new();
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _ended;
    private volatile bool _stopsReading;

    /// <summary>A client without a socket: its input is passed to <see cref="OnReceived"/> and <see cref="OnEnd"/>.</summary>
    public XmppClient(Func<byte[], Task> send) => _send = send;

    private XmppClient(Socket socket)
        : this(bytes => SendAsync(socket, bytes)) => _socket = socket;

    /// <summary>Its full address, once it has logged in.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Whether the other end has ended the connection.</summary>
    public bool HasEnded
    {
        get { lock (_gate) return _ended; }
    }

    /// <summary>Received input that was not expected yet.</summary>
    public string Pending
    {
        get { lock (_gate) return _heard.ToString(); }
    }

    /// <summary>Connects.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for a reader that does not read; null: as it likes.</param>
    /// <param name="from">The address to come from; null: any.</param>
    public static async Task<XmppClient> ConnectAsync(IPEndPoint to, int? receiveBuffer = null, IPAddress? from = null)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (from is not null) socket.Bind(new IPEndPoint(from, 0));
        if (receiveBuffer is { } bytes) socket.ReceiveBufferSize = bytes;
        await BoundedWait.WithinAsync(socket.ConnectAsync(to), $"a connection to {to}");
        XmppClient client = new(socket);
        _ = client.ReadAsync();
        return client;
    }

    /// <summary>Reads no more from the connection, but for what it is reading already.</summary>
    public void StopReading() => _stopsReading = true;

    /// <summary>Reads on after <see cref="StopReading"/>.</summary>
    public void ReadOn()
    {
        _stopsReading = false;
        _ = ReadAsync();
    }

    /// <summary>Takes some of the stream.</summary>
    public void OnReceived(ReadOnlySpan<byte> bytes)
    {
        lock (_gate) _heard.Append(Encoding.Latin1.GetString(bytes));
        Tell();
    }

    /// <summary>Takes the end of the stream.</summary>
    public void OnEnd()
    {
        lock (_gate) _ended = true;
        Tell();
    }

    /// <summary>Sends bytes.</summary>
    public Task SendAsync(byte[] bytes) => _send(bytes);

    /// <summary>Sends text: one piece of the stream, if it is carried by a <c>StanzaEcm</c>.</summary>
    public Task SendAsync(string xml) => _send(Encoding.UTF8.GetBytes(xml));

    /// <summary>Sends a chat message.</summary>
    public Task SendMessageAsync(string to, string text) => SendAsync($"<message type='chat' to='{to}'><body>{text}</body></message>");

    /// <summary>Waits until this has come.</summary>
    /// <returns>The input up to and including it.</returns>
    /// <exception cref="EndOfStreamException">The stream ended before.</exception>
    public async Task<string> ExpectAsync(string text)
    {
        while (true)
        {
            Task news;
            lock (_gate)
            {
                string heard = _heard.ToString();
                int at = heard.IndexOf(text, StringComparison.Ordinal);
                if (at >= 0)
                {
                    _heard.Remove(0, at + text.Length);
                    return heard[..(at + text.Length)];
                }

                if (_ended) throw new EndOfStreamException($"The stream ended before \"{text}\", after \"{heard[..Math.Min(heard.Length, 500)]}\"");
                if (_news.Task.IsCompleted) _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
                news = _news.Task;
            }

            await BoundedWait.WithinAsync(news, $"\"{text}\"; there is \"{Pending}\"");
        }
    }

    /// <summary>Waits until the other end has ended the stream.</summary>
    /// <returns>The input before the end.</returns>
    public async Task<string> ReceiveToEndAsync()
    {
        await BoundedWait.UntilAsync(() => HasEnded, "the end of a stream");
        return Pending;
    }

    /// <summary>Logs in, binds a resource and is available.</summary>
    /// <param name="name">An account; null: anybody.</param>
    /// <param name="resource">The resource; null: the server chooses.</param>
    public async Task LogInAsync(string? name = null, string? resource = null)
    {
        await OpenAsync();
        string auth = name is null
            ? "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"
            : "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                + Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0{name}\0{Ejabberd.Password}")) + "</auth>";
        await SendAsync(auth);
        await ExpectAsync("<success");
        await OpenAsync();
        string wanted = resource is null ? "" : $"<resource>{resource}</resource>";
        await SendAsync($"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{wanted}</bind></iq>");
        string bound = await ExpectAsync("</jid>");
        Address = bound[(bound.IndexOf("<jid>", StringComparison.Ordinal) + 5)..^6];
        await ExpectAsync("</iq>");
        await SendAsync("<presence/>");
        await ExpectAsync("<presence");
        await ExpectAsync(">");
    }

    /// <summary>Asks that its session may be resumed (XEP-0198).</summary>
    /// <returns>The id for that.</returns>
    public async Task<string> EnableResumptionAsync()
    {
        await SendAsync("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        string enabled = await ExpectAsync("<enabled ") + await ExpectAsync("/>");
        return Regex.Match(enabled, "id='([^']*)'").Groups[1].Value;
    }

    /// <summary>Logs in and asks for a session of an earlier connection (XEP-0198).</summary>
    /// <returns>The answer, and what has come behind it; it is not taken out of <see cref="Pending"/>.</returns>
    public async Task<string> ResumeAsync(string name, string id)
    {
        await OpenAsync();
        string plain = Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0{name}\0{Ejabberd.Password}"));
        await SendAsync($"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
        await ExpectAsync("<success");
        await OpenAsync();
        await SendAsync($"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id}'/>");
        await BoundedWait.UntilAsync(
            () => Pending.Contains("<resumed ", StringComparison.Ordinal) || Pending.Contains("</failed>", StringComparison.Ordinal),
            "the answer to a resumption");
        return Pending;
    }

    /// <summary>Opens a stream and waits for what the server offers.</summary>
    public async Task OpenAsync()
    {
        await SendAsync(Header);
        await ExpectAsync("</stream:features>");
    }

    /// <summary>Waits until everything that was sent to it before has come, and that it is served: the server answers in order.</summary>
    public async Task SettleAsync()
    {
        string id = Guid.NewGuid().ToString("N");
        await SendAsync($"<iq type='get' id='{id}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
        await ExpectAsync(id);
        await ExpectAsync(">");
    }

    /// <summary>Ends the stream, and waits for the server to do the same.</summary>
    public async Task LogOutAsync()
    {
        await SendAsync("</stream:stream>");
        await ExpectAsync("</stream:stream>");
        Dispose();
    }

    /// <summary>Tears the connection down with a reset.</summary>
    public void Abort() => _socket?.Close(0);

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();

    private void Tell()
    {
        lock (_gate) _news.TrySetResult();
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[await BoundedWait.WithinAsync(socket.SendAsync(bytes).AsTask(), "room to send")..];
    }

    private async Task ReadAsync()
    {
        byte[] some = new byte[16 << 10];
        try
        {
            while (await _socket!.ReceiveAsync(some.AsMemory()) is > 0 and int read)
            {
                OnReceived(some.AsSpan(0, read));
                if (_stopsReading) return;
            }
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // A reset, or the test's own doing: an end all the same.
        }

        OnEnd();
    }
}
