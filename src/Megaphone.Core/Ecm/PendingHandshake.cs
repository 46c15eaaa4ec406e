using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>A client before or in its TLS handshake. The thread that handles it holds its lock.</summary>
internal sealed class PendingHandshake
{
    /// <summary>Its socket; closed, or passed to a reactor, by the thread that removes it.</summary>
    public required int Descriptor { get; init; }

    /// <summary>The client's address; that of a proxy until this has named the client.</summary>
    public required NativeAddress Peer { get; set; }

    /// <summary>It is a proxy's, which has to begin with a PROXY header.</summary>
    public bool AwaitsProxyHeader { get; set; }

    /// <summary>Bytes of that header that have arrived.</summary>
    public int ProxyBytes { get; set; }

    /// <summary>Those of them that were received; null: none, they are the kernel's still.</summary>
    public byte[]? ProxyStart { get; set; }

    /// <summary>It counts as one who has arrived.</summary>
    public bool HasArrived { get; set; }

    /// <summary>The index in the configuration of the listener that accepted it.</summary>
    public required int Listener { get; init; }

    /// <summary>Its index among the pending handshakes, which is part of its epoll data.</summary>
    public required int Slot { get; init; }

    /// <summary>When it times out, on the clock of <see cref="Environment.TickCount64"/>.</summary>
    public required long Deadline { get; init; }

    /// <summary>The STARTTLS negotiation; null with direct TLS, and once the handshake has begun.</summary>
    public StartTlsDialogue? Dialogue { get; set; }

    /// <summary>The host that it named before TLS, normalized; null: none.</summary>
    public string? Host { get; set; }

    /// <summary>The state of its stream before TLS.</summary>
    public StreamState Stream;

    /// <summary>Its TLS session, once the handshake has begun.</summary>
    public TlsSession? Session { get; set; }

    /// <summary>When that was, as a timestamp of <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long HandshakeBeganAt { get; set; }

    /// <summary>It has been sent an error; its input is discarded until it disconnects.</summary>
    public bool Rejected { get; set; }

    /// <summary>When it connected, on the same clock.</summary>
    public required long ArrivedAt { get; init; }

    /// <summary>It has sent something.</summary>
    public bool HasSpoken { get; set; }

    /// <summary>Why its socket has been shut down, so that the thread that handles it next finds it ended; null: it has not been.</summary>
    public HandshakeEnd? Expired { get; set; }

    /// <summary>It is no longer pending.</summary>
    public bool Removed { get; set; }
}
