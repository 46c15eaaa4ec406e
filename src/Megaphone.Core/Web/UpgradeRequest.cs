using System.Buffers.Text;
using System.Text;

namespace Megaphone.Web;

/// <summary>Reads the client's opening handshake of a WebSocket for XMPP: RFC 6455, section 4.2.1, and RFC 7395, section 3.1.</summary>
/// <remarks>
/// Each field that may be there once and is there twice, and anything that announces a body, makes the request malformed: what the client
/// sends next is either frames or nothing at all.
/// </remarks>
internal ref struct UpgradeRequest
{
    /// <summary>The bytes of a key as it is written: 16 in base64.</summary>
    private const int KeyLength = 24;

    private int _hosts;
    private int _keys;
    private int _versions;
    private int _origins;
    private bool _announcesBody;
    private bool _connectionUpgrades;
    private bool _asksForWebSocket;
    private bool _offersXmpp;
    private bool _isVersion13;

    /// <summary>The value of <c>Sec-WebSocket-Key</c>.</summary>
    public ReadOnlySpan<byte> Key { get; private set; }

    /// <summary>The value of <c>Origin</c>, which browsers send; empty without one.</summary>
    public ReadOnlySpan<byte> Origin { get; private set; }

    /// <summary>Reads a request.</summary>
    /// <param name="head">A whole head, as <see cref="RequestHead.Examine"/> has found it.</param>
    /// <param name="request">What it says; meaningful if it is accepted.</param>
    public static UpgradeVerdict Read(ReadOnlySpan<byte> head, out UpgradeRequest request)
    {
        request = default;
        bool isCurrent = RequestHead.TryRead(head, out RequestHead fields);
        while (fields.Next()) request.Take(fields.Name, fields.Value);
        if (fields.IsMalformed) return UpgradeVerdict.Malformed;
        if (!request._asksForWebSocket) return UpgradeVerdict.NotUpgrade;
        if (!isCurrent || request is not { _hosts: 1, _keys: 1, _versions: 1, _origins: <= 1, _announcesBody: false, _connectionUpgrades: true })
            return UpgradeVerdict.Malformed;
        if (!request._isVersion13) return UpgradeVerdict.WrongVersion;
        if (request.Key.Length != KeyLength || !Base64.IsValid(request.Key, out int bytes) || bytes != 16) return UpgradeVerdict.Malformed;
        return request._offersXmpp ? UpgradeVerdict.Accepted : UpgradeVerdict.NoSubprotocol;
    }

    private void Take(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (Is(name, "host"u8))
        {
            _hosts++;
        }
        else if (Is(name, "upgrade"u8))
        {
            _asksForWebSocket |= HttpBytes.ListHas(value, "websocket"u8, ignoreCase: true);
        }
        else if (Is(name, "connection"u8))
        {
            _connectionUpgrades |= HttpBytes.ListHas(value, "upgrade"u8, ignoreCase: true);
        }
        else if (Is(name, "sec-websocket-key"u8))
        {
            _keys++;
            Key = value;
        }
        else if (Is(name, "sec-websocket-version"u8))
        {
            _versions++;
            _isVersion13 = value.SequenceEqual("13"u8);
        }
        else if (Is(name, "sec-websocket-protocol"u8))
        {
            _offersXmpp |= HttpBytes.ListHas(value, "xmpp"u8, ignoreCase: false);
        }
        else if (Is(name, "origin"u8))
        {
            _origins++;
            Origin = value;
        }
        else if (Is(name, "content-length"u8) || Is(name, "transfer-encoding"u8))
        {
            _announcesBody = true;
        }
    }

    private static bool Is(ReadOnlySpan<byte> name, ReadOnlySpan<byte> lowerCase) => Ascii.EqualsIgnoreCase(name, lowerCase);
}
