namespace Megaphone.Tls;

/// <summary>What <see cref="TlsRecordReader"/> has found at the front of what was received.</summary>
internal enum OpenedRecordKind : byte
{
    /// <summary>A part of a record, of which more has to come.</summary>
    Incomplete,

    /// <summary>Application data, at least one byte.</summary>
    Data,

    /// <summary>A record that has nothing to deliver and wants no answer.</summary>
    Nothing,

    /// <summary>A record that asks for a key update of ours (RFC 8446, section 4.6.3): see <see cref="TlsConnectionState.OweKeyUpdate"/>.</summary>
    KeyUpdateRequested,

    /// <summary>
    /// <c>close_notify</c>: the peer sends nothing more, and what comes behind it is not looked at. In TLS 1.3 our direction goes on
    /// (RFC 8446, section 6.1); in TLS 1.2 it is to be ended now (RFC 5246, section 7.2.1).
    /// </summary>
    Ended,

    /// <summary>What came is not allowed. The connection ends with <see cref="OpenedRecord.Alert"/>: <see cref="TlsRecordWriter.SealEnd"/>.</summary>
    Fault,

    /// <summary>The peer has given up, for the reason in <see cref="OpenedRecord.Alert"/>. It wants no answer (RFC 8446, section 6.2).</summary>
    FatalAlert,
}
