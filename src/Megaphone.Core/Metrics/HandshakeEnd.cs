namespace Megaphone.Metrics;

/// <summary>How a client's way to TLS ended: the <c>result</c> label of <c>megaphone_ecm_handshakes_total</c>.</summary>
internal enum HandshakeEnd
{
    /// <summary>With a new session.</summary>
    Full,

    /// <summary>With a session that goes on from an earlier one.</summary>
    Resumed,

    /// <summary>What the client sent was no TLS, or none that could be agreed on.</summary>
    Failed,

    /// <summary>What the client said before TLS was refused with a stream error.</summary>
    StreamError,

    /// <summary>The client was not done within <c>HandshakeTimeout</c>.</summary>
    Timeout,

    /// <summary>The client ended or reset the connection in the middle of it.</summary>
    Abandoned,

    /// <summary>The process stopped, or had no memory for it.</summary>
    Dropped,
}
