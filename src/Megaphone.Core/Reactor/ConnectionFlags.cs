namespace Megaphone.Reactor;

/// <summary>What is true of a connection. Changed only while its gate is held; <see cref="ConnectionMachine{TState}"/> says how.</summary>
[Flags]
internal enum ConnectionFlags
{
    /// <summary>Nothing out of the ordinary: the state of every idle connection but for <see cref="WatchesInput"/>.</summary>
    None = 0,

    /// <summary>An outgoing connection that is not established yet; what is sent waits.</summary>
    Connecting = 1 << 0,

    /// <summary>With <see cref="Connecting"/>: the address that was tried failed; the reactor goes on to the next.</summary>
    ConnectFailed = 1 << 1,

    /// <summary>A deadline for the first address was set.</summary>
    ConnectArmed = 1 << 2,

    /// <summary>Reading is paused, or nothing of the connection is wanted any more.</summary>
    ReadPaused = 1 << 3,

    /// <summary>The handler had no room for what could be read.</summary>
    ReadStalled = 1 << 4,

    /// <summary>The peer has ended its direction.</summary>
    ReadEnded = 1 << 5,

    /// <summary>The handler has still to be told of <see cref="ReadEnded"/>.</summary>
    ReadEndUnreported = 1 << 6,

    /// <summary>Something has been sent, or waits to be.</summary>
    HasSent = 1 << 7,

    /// <summary>Something waits to be sent, in the slot's <see cref="OutputBacklog"/>.</summary>
    OutputQueued = 1 << 8,

    /// <summary>The high mark has been reached, and the low one has not been since.</summary>
    AboveHigh = 1 << 9,

    /// <summary>The handler was last told that the write pressure is high.</summary>
    PressureReported = 1 << 10,

    /// <summary>Our direction ends as soon as what waits has been sent.</summary>
    WriteEnding = 1 << 11,

    /// <summary>Our direction has ended.</summary>
    WriteEnded = 1 << 12,

    /// <summary>A deadline for the end of the other direction was set.</summary>
    HalfOpenArmed = 1 << 13,

    /// <summary>To be closed as soon as what waits has been sent, for the reason in the slot.</summary>
    CloseWhenFlushed = 1 << 14,

    /// <summary>To be closed by the reactor, for the reason in the slot.</summary>
    Aborting = 1 << 15,

    /// <summary>The descriptor is closed; the slot lives on until the handler has been told.</summary>
    Closed = 1 << 16,

    /// <summary>The handler has been told of <see cref="Closed"/>.</summary>
    CloseReported = 1 << 17,

    /// <summary>Stands in the queue of those that the handler had no room for.</summary>
    InStalledQueue = 1 << 18,

    /// <summary>epoll reports input.</summary>
    WatchesInput = 1 << 19,

    /// <summary>epoll reports room for output.</summary>
    WatchesOutput = 1 << 20,

    /// <summary>Taken out of epoll, which would report its hang-up for ever while we may not read.</summary>
    Unwatched = 1 << 21,

    /// <summary>TLS is spoken on it.</summary>
    Secured = 1 << 22,

    /// <summary>What was received of a connection with TLS waits to be opened or delivered, and the kernel does not report it any more.</summary>
    TlsHoldsInput = 1 << 23,

    /// <summary>OpenSSL goes on, with reading or with our end, when the kernel takes more. Nothing is read before.</summary>
    TlsWantsWrite = 1 << 24,

    /// <summary>OpenSSL sends what waits when the peer has sent more.</summary>
    TlsWantsRead = 1 << 25,

    /// <summary>With <see cref="Secured"/>: OpenSSL opens and seals the records.</summary>
    OpenSslRecords = 1 << 26,

    /// <summary>The kernel reports input only when the rest of a record is there whole (SO_RCVLOWAT).</summary>
    TlsAwaitsRecord = 1 << 27,

    /// <summary>What was sent last is a part of something, and the rest will follow.</summary>
    MoreFollows = 1 << 28,

    /// <summary>The handler trusts the peer to be one that it is there for: the bounds for strangers do not concern it.</summary>
    Admitted = 1 << 29,
}
