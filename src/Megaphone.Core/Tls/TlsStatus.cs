namespace Megaphone.Tls;

/// <summary>
/// How a step came out: of a handshake, or of records that OpenSSL protects (<see cref="TlsSession"/>); of reading records that are protected here
/// (<see cref="TlsRecordReader"/>).
/// </summary>
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

    /// <summary>What the peer has sent breaks the rules of TLS, for which there is an alert; or it was a fatal alert.</summary>
    Failed,

    /// <summary>No memory is left for what has come.</summary>
    NoMemory,
}
