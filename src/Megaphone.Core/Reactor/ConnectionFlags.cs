namespace Megaphone.Reactor;

/// <summary>What is true of a connection. Changed only while its gate is held.</summary>
[Flags]
internal enum ConnectionFlags
{
    /// <summary>Nothing out of the ordinary: the state of every idle connection but for <see cref="WatchesIn"/>.</summary>
    None = 0,

    /// <summary>An outgoing connection that is not established yet; what is sent waits.</summary>
    Connecting = 1 << 0,

    /// <summary>The handler's other side asked us to stop reading.</summary>
    ReadPaused = 1 << 1,

    /// <summary>The handler had no room for what could be read; it is in the reactor's queue of stalled ones.</summary>
    ReadStalled = 1 << 2,

    /// <summary>The peer has ended its direction.</summary>
    ReadEnded = 1 << 3,

    /// <summary>Our direction ends as soon as what waits has been sent.</summary>
    WriteEnding = 1 << 4,

    /// <summary>Our direction has ended.</summary>
    WriteEnded = 1 << 5,

    /// <summary>To be closed by the reactor, for the reason in the slot.</summary>
    Aborting = 1 << 6,

    /// <summary>To be closed as soon as what waits has been sent.</summary>
    CloseWhenFlushed = 1 << 7,

    /// <summary>The descriptor is closed; the slot lives on until the handler has been told.</summary>
    Closed = 1 << 8,

    /// <summary>More than the high watermark waits, and less than the low one has not been reached since.</summary>
    AboveHigh = 1 << 9,

    /// <summary>The handler was last told that the connection is slow.</summary>
    ToldSlow = 1 << 10,

    /// <summary>The handler is yet to be told of <see cref="ReadEnded"/>.</summary>
    EndUntold = 1 << 11,

    /// <summary>Stands in the queue of those that the handler had no room for.</summary>
    InStalledQueue = 1 << 12,

    /// <summary>epoll reports input.</summary>
    WatchesIn = 1 << 13,

    /// <summary>epoll reports room for output.</summary>
    WatchesOut = 1 << 14,

    /// <summary>Taken out of epoll, which would report its hang-up for ever while we may not read.</summary>
    Unwatched = 1 << 15,

    /// <summary>The handler has been told of <see cref="Closed"/>.</summary>
    CloseTold = 1 << 16,

    /// <summary>A half-open deadline is running.</summary>
    HalfOpenArmed = 1 << 17,

    /// <summary>With <see cref="Connecting"/>: the address that was tried failed; the reactor goes on to the next.</summary>
    ConnectFailed = 1 << 18,

    /// <summary>A deadline for the first address is running.</summary>
    ConnectArmed = 1 << 19,

    /// <summary>Something has been sent, or waits to be.</summary>
    Sent = 1 << 20,

    /// <summary>TLS is spoken on it.</summary>
    Secured = 1 << 21,

    /// <summary>What was received of a connection with TLS waits to be opened or delivered, and the kernel does not report it any more.</summary>
    HoldsUnread = 1 << 22,

    /// <summary>OpenSSL goes on, with reading or with our end, when the kernel takes more. Nothing is read before.</summary>
    WantsRoom = 1 << 23,

    /// <summary>OpenSSL sends what waits when the peer has sent more.</summary>
    WantsInput = 1 << 24,

    /// <summary>Something waits to be sent, in the slot's <see cref="OutputBacklog"/>.</summary>
    OutputQueued = 1 << 25,
}
