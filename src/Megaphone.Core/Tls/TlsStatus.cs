namespace Megaphone.Tls;

/// <summary>How a step of a <see cref="TlsSession"/> came out.</summary>
internal enum TlsStatus
{
    /// <summary>It was done.</summary>
    Done,

    /// <summary>It goes on when the peer has sent more.</summary>
    WantRead,

    /// <summary>It goes on when the kernel takes more.</summary>
    WantWrite,

    /// <summary>The peer ended its direction with <c>close_notify</c>.</summary>
    Ended,

    /// <summary>The connection ended without <c>close_notify</c>: what was received may not be all.</summary>
    Truncated,

    /// <summary>The socket failed; errno tells how.</summary>
    Broken,

    /// <summary>What the peer sent is no TLS that could be taken; it has been sent the alert that says so.</summary>
    Failed,

    /// <summary>There is no memory left for what has come.</summary>
    NoMemory,
}
