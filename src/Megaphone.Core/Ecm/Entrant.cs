using Megaphone.Interop;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>A client on its way to TLS. Its lock is held by the thread that works for it.</summary>
internal sealed class Entrant
{
    /// <summary>Its socket; closed, or handed on, by the thread that removes it.</summary>
    public required int Descriptor { get; init; }

    /// <summary>Its address.</summary>
    public required NativeAddress Peer { get; init; }

    /// <summary>The listener that took it, by its place in the configuration.</summary>
    public required int Listener { get; init; }

    /// <summary>Its place among the entrants, by which epoll names it.</summary>
    public required int Place { get; init; }

    /// <summary>When its time is up, as <see cref="Environment.TickCount64"/> tells it.</summary>
    public required long Due { get; init; }

    /// <summary>What is said before TLS; null with direct TLS, and once the handshake has begun.</summary>
    public StartTlsDialogue? Dialogue { get; set; }

    /// <summary>The host that it has named before TLS, normalized; null: none.</summary>
    public string? Host { get; set; }

    /// <summary>Where its stream stands before TLS.</summary>
    public StreamState Stream;

    /// <summary>Its TLS, from the beginning of the handshake on.</summary>
    public TlsSession? Session { get; set; }

    /// <summary>It has been told why it is refused; what it still sends is thrown away until it has gone.</summary>
    public bool Refused { get; set; }

    /// <summary>Its time is up: its socket has been shut down, so that whoever works for it next finds it ended.</summary>
    public bool Expired { get; set; }

    /// <summary>It is no entrant any more.</summary>
    public bool Removed { get; set; }
}
