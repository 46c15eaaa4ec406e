namespace Megaphone.Metrics;

/// <summary>Why a session ended: the <c>reason</c> label of <c>megaphone_sessions_closed_total</c>.</summary>
/// <remarks>The label is the name in snake case.</remarks>
internal enum CloseReason : byte
{
    /// <summary>Both directions ended in order.</summary>
    Ended,

    /// <summary>The other end of the link asked for it with <c>reset</c>.</summary>
    ResetByPeer,

    /// <summary>The client's or backend's socket failed: reset by it, or it is unreachable.</summary>
    SocketError,

    /// <summary>The client or backend vanished: TCP keepalive or TCP_USER_TIMEOUT ran out.</summary>
    Vanished,

    /// <summary>The client's connection ended without TLS's <c>close_notify</c>: the last that it sent may be missing.</summary>
    Truncated,

    /// <summary>What the client sent was not TLS, or not what the handshake had agreed on.</summary>
    TlsError,

    /// <summary>What the client sent was not an XMPP stream, or exceeded a limit (stanza framing).</summary>
    StreamError,

    /// <summary>One side had ended and the other did not within <c>HalfOpenTimeout</c>.</summary>
    HalfOpenTimeout,

    /// <summary>Neither side sent anything within <c>IdleTimeout</c>.</summary>
    IdleTimeout,

    /// <summary>The socket did not take data fast enough and its buffer reached its limit.</summary>
    BufferLimit,

    /// <summary>All buffers together reached <c>Buffers:TotalBytes</c>.</summary>
    BufferTotal,

    /// <summary>The link that carried the session was lost.</summary>
    LinkLost,

    /// <summary>This process drains, or stops.</summary>
    Drained,

    /// <summary>The backend's name could not be resolved.</summary>
    BackendUnresolved,

    /// <summary>The backend refused the connection or could not be reached.</summary>
    BackendRefused,

    /// <summary>The backend did not accept within <c>ConnectTimeout</c>.</summary>
    BackendTimeout,

    /// <summary>There were <c>MaxSessions</c> sessions already.</summary>
    TooManySessions,

    /// <summary>Descriptors or memory ran out on this machine.</summary>
    OutOfResources,

    /// <summary>What the server sent to a WebSocket client was not an XMPP stream.</summary>
    InvalidOutput,

    /// <summary>The client had not logged in within <c>LoginTimeout</c>.</summary>
    LoginTimeout,

    /// <summary>The rest of a stanza that the client had begun did not come within a minute or two.</summary>
    StanzaTimeout,

    /// <summary>The client had not logged in, and its place was needed for another.</summary>
    GaveWay,

    /// <summary>An operator ended it.</summary>
    Kicked,
}
