namespace Megaphone.Metrics;

/// <summary>How a client's STARTTLS and TLS handshake ended: the <c>result</c> label of <c>megaphone_ecm_handshakes_total</c>.</summary>
internal enum HandshakeEnd
{
    /// <summary>With a new session.</summary>
    Full,

    /// <summary>With an earlier session that was resumed.</summary>
    Resumed,

    /// <summary>What the client sent was not TLS, or client and server had no version or cipher in common.</summary>
    Failed,

    /// <summary>What the client sent before TLS was refused with a stream error.</summary>
    StreamError,

    /// <summary>The handshake was not done within <c>HandshakeTimeout</c>.</summary>
    Timeout,

    /// <summary>The client ended or reset the connection in the middle of it.</summary>
    Abandoned,

    /// <summary>The process stopped, or had no memory for it.</summary>
    Dropped,

    /// <summary>The handshake was done, and OpenSSL held something that the record layer would have needed.</summary>
    NotTakenOver,

    /// <summary>The client had said nothing, and gave way to others.</summary>
    GaveWay,
}
