using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;

namespace Megaphone.EndToEnd.Support;

/// <summary>A user whose WebSocket is .NET's own: a client that knows nothing of this project.</summary>
internal sealed class WebUser : IDisposable
{
    private readonly ClientWebSocket _socket = new();

    private WebUser()
    {
    }

    /// <summary>Where a WebSocket is.</summary>
    public static Uri Address(string scheme, IPEndPoint at) => new(string.Create(CultureInfo.InvariantCulture, $"{scheme}://{at}/ws"));

    /// <summary>What SASL PLAIN sends.</summary>
    public static string Plain(string name) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0{name}\0{Ejabberd.Password}"));

    /// <summary>Connects, logs in and is there.</summary>
    public static Task<WebUser> LogInAsync(IPEndPoint to, string name, params (string Name, string Value)[] fields) =>
        LogInAsync(Address("ws", to), name, http: null, fields);

    /// <summary>Likewise.</summary>
    /// <param name="to">The WebSocket's address.</param>
    /// <param name="name">The user's.</param>
    /// <param name="http">What connects and speaks TLS; null: .NET's own.</param>
    /// <param name="fields">Fields more for the request.</param>
    public static async Task<WebUser> LogInAsync(
        Uri to, string name, HttpMessageInvoker? http, params (string Name, string Value)[] fields)
    {
        WebUser user = await AuthenticateAsync(to, name, http, fields);
        await user.SendAsync(
            "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>web</resource></bind></iq>");
        Assert.Contains("/web</jid>", await user.ReceiveAsync("<iq"));
        await user.SendAsync("<presence xmlns='jabber:client'/>");
        await user.ReceiveAsync("<presence");
        return user;
    }

    /// <summary>Connects and authenticates: what comes next is a resource, or the resumption of a session.</summary>
    public static Task<WebUser> AuthenticateAsync(IPEndPoint to, string name) => AuthenticateAsync(Address("ws", to), name, http: null);

    private static async Task<WebUser> AuthenticateAsync(Uri to, string name, HttpMessageInvoker? http, params (string Name, string Value)[] fields)
    {
        WebUser user = new();
        user._socket.Options.AddSubProtocol("xmpp");
        foreach ((string field, string value) in fields) user._socket.Options.SetRequestHeader(field, value);
        await BoundedWait.WithinAsync(user._socket.ConnectAsync(to, http, CancellationToken.None), "a WebSocket");
        Assert.Equal("xmpp", user._socket.SubProtocol);
        await user.SendAsync(BrowserConnection.Open);
        await user.ReceiveAsync("<open");
        Assert.Contains("PLAIN", await user.ReceiveAsync("<stream:features"));
        await user.SendAsync($"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{Plain(name)}</auth>");
        await user.ReceiveAsync("<success");
        await user.SendAsync(BrowserConnection.Open);
        await user.ReceiveAsync("<open");
        await user.ReceiveAsync("<stream:features");
        return user;
    }

    /// <summary>Sends a message.</summary>
    public Task SendAsync(string text) => BoundedWait.WithinAsync(
        _socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None), "room to send");

    /// <summary>Receives messages up to the first that begins so.</summary>
    public async Task<string> ReceiveAsync(string begin)
    {
        while (true)
        {
            string message = await ReceiveAsync();
            if (message.StartsWith(begin, StringComparison.Ordinal)) return message;
            Assert.False(message.StartsWith("<close", StringComparison.Ordinal) || message.Length == 0, $"The stream ended before {begin}.");
        }
    }

    /// <summary>Ends the stream, and the WebSocket.</summary>
    public async Task LogOutAsync()
    {
        await SendAsync("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
        string last;
        do
        {
            last = await ReceiveAsync();
        }
        while (last.Length > 0 && last != BrowserConnection.Close);
        Assert.Equal(BrowserConnection.Close, last);
        await BoundedWait.WithinAsync(_socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None), "the close");
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private async Task<string> ReceiveAsync()
    {
        using MemoryStream message = new();
        byte[] part = new byte[16 << 10];
        while (true)
        {
            WebSocketReceiveResult result = await BoundedWait.WithinAsync(_socket.ReceiveAsync(part, CancellationToken.None), "a message");
            message.Write(part, 0, result.Count);
            if (result.EndOfMessage) return Encoding.UTF8.GetString(message.ToArray());
        }
    }
}
