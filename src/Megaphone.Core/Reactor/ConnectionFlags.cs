namespace Megaphone.Reactor;

// What a connection's flags say of it, and who changes them. "Any" is any thread (ConnectionRequests, ConnectionOutput), "reactor" the
// reactor's alone. Allocating a slot clears them all. Once Closed is set only the three flags change that lead to the slot being freed:
// CloseReported, InStalledQueue, ReadStalled. Flags marked with c are of established connections only. FindViolation checks the last column.
//
// flag               | set by, when                                           | cleared by, when                     | goes with, or not
// -------------------|--------------------------------------------------------|--------------------------------------|--------------------------
// Connecting         | any: TryConnect                                        | reactor: established                 | no flag marked with c
// ConnectFailed      | any: refused at once; reactor: refused, or overdue     | reactor: goes on to the next address | Connecting
// ConnectArmed       | reactor: the first deadline is set                     | -                                    |
// ReadPaused         | any: PauseReading; reactor: OnReadable said Closed     | any: PauseReading                    |
// ReadStalled      c | reactor: OnReadable would block                        | reactor: it is asked again           | InStalledQueue
// ReadEnded        c | reactor: the end has been received                     | -                                    |
// ReadEndUnreported  | reactor: with ReadEnded                                | reactor: OnPeerHalfClosed is done    | ReadEnded
// HasSent            | any: something is sent                                 | -                                    |
// OutputQueued       | any: the kernel did not take it all                    | reactor: it has; at the close        | HasSent
// AboveHigh          | any: HighBytes are queued                              | reactor: no more than LowBytes are   | OutputQueued
// PressureReported   | any: OnWritePressureChanged(high) is done              | any: the same, not high              |
// WriteEnding        | any: EndWrite, SendLast                                | reactor: with WriteEnded             | not WriteEnded
// WriteEnded       c | reactor: WriteEnding, and nothing is queued            | -                                    | not OutputQueued
// HalfOpenArmed      | reactor: one direction has ended, or is to             | -                                    |
// CloseWhenFlushed   | any: CloseWhenFlushed                                  | -                                    |
// Aborting           | any: Abort, or sending failed                          | -                                    |
// Closed             | reactor: for any reason; any: OnAccepted refused       | -                                    | no descriptor, not
//                    |                                                        |                                      | OutputQueued, not Secured
// CloseReported      | reactor: OnClosed is done; any: OnAccepted refused     | -                                    | Closed
// InStalledQueue     | reactor: any call of the handler would block           | reactor: its turn in the queue       |
// WatchesInput     c | any: reading is possible                               | any: it is not                       | not Read..., not TlsWantsWrite
// WatchesOutput      | any: OutputQueued, TlsWantsWrite, Connecting           | any: none of these                   |
// Unwatched        c | reactor: a hang-up while reading is not possible       | any: it is, or output is             | neither of these two
// Secured          c | any: accepted with TLS                                 | reactor: at the close                |
// OpenSslRecords   c | any: with Secured, if it is configured so              | reactor: at the close                | Secured
// TlsHoldsInput    c | reactor: a turn is over, or the kernel takes more      | reactor: the next turn               | Secured
// TlsWantsWrite    c | reactor: OpenSSL has something to send first           | reactor: the kernel takes more       | OpenSslRecords
// TlsWantsRead     c | any: OpenSSL has something to receive first            | reactor: something was received      | OpenSslRecords
// TlsAwaitsRecord  c | reactor: incomplete; memory scarce, or not admitted    | reactor: it is whole, or may be kept | Secured, not OpenSslRecords
// MoreFollows        | any: a part of something is sent                       | any: something is sent that is whole | HasSent
// Admitted           | any: Admit, or it was not accepted                     | -                                    |
// Held             c | reactor: the handler holds it                          | reactor: it is brought up to date    | not WatchesInput
// Kicked             | any: Kick                                              | -                                    |

/// <summary>What is true of a connection. Changed only while its gate is held, as the table above says.</summary>
[Flags]
internal enum ConnectionFlags : uint
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

    /// <summary>The handler takes nothing of it before it is released. Its end is watched for meanwhile.</summary>
    Held = 1 << 30,

    /// <summary>An operator wants it closed.</summary>
    Kicked = 1u << 31,
}
