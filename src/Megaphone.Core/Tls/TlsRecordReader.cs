using System.Buffers.Binary;

namespace Megaphone.Tls;

/// <summary>
/// Opens records, in place, and applies the rules about what a peer may send behind its handshake (RFC 8446, sections 4.6, 5 and 6; RFC 5246,
/// sections 6 and 7). Does no I/O; touches the reader's side of a <see cref="TlsConnectionState"/>.
/// </summary>
internal static class TlsRecordReader
{
    /// <summary>
    /// Records without data that a peer may send in a row: empty ones, key updates, warnings. Each costs a good deal and gives nothing. The RFCs
    /// have no bound; no honest peer comes near this one.
    /// </summary>
    public const int MaxRecordsWithoutData = 64;

    private const int AlertBytes = 2;
    private const byte Warning = 1;
    private const byte Fatal = 2;
    private const byte HelloRequest = 0;
    private const byte ClientHello = 1;

    private static ReadOnlySpan<byte> Version12 => [3, 3];

    /// <summary>Opens the first record.</summary>
    /// <param name="state">The connection. After a fault or a fatal alert it must not be read any more.</param>
    /// <param name="received">What has come, from the beginning of a record on. The data is decrypted where it lies; what else there was of the
    /// record is of no use any more.</param>
    public static OpenedRecord Open(ref TlsConnectionState state, Span<byte> received)
    {
        // "Any data received after a closure alert has been received MUST be ignored" (RFC 8446, section 6.1).
        if (state.ReadEnded) return new OpenedRecord(OpenedRecordKind.Ended, received.Length);
        if (received.Length < TlsRecord.HeaderBytes) return new OpenedRecord(OpenedRecordKind.Incomplete, TlsRecord.HeaderBytes);

        int length = TlsRecord.HeaderBytes + BinaryPrimitives.ReadUInt16BigEndian(received[3..]);
        if (RefuseHeader(state.Parameters, received[..TlsRecord.HeaderBytes], length - TlsRecord.HeaderBytes) is { } refusal) return Fault(refusal);
        if (received.Length < length) return new OpenedRecord(OpenedRecordKind.Incomplete, length);

        TlsAlert? alert = RecordProtection.Open(
            state.Parameters, ref state.Read, received[..length], out TlsContentType type, out Span<byte> content);
        if (alert is { } fault) return Fault(fault);
        OpenedRecord opened = Handle(ref state, type, content) with { Length = length };
        switch (opened.Kind)
        {
            case OpenedRecordKind.Data:
                state.RecordsWithoutData = 0;
                return opened with { DataStart = TlsRecord.HeaderBytes + state.Parameters.ExplicitNonceBytes };
            case OpenedRecordKind.Nothing or OpenedRecordKind.KeyUpdateRequested when ++state.RecordsWithoutData > MaxRecordsWithoutData:
                return Fault(TlsAlert.UnexpectedMessage);
            default:
                return opened;
        }
    }

    private static OpenedRecord Fault(TlsAlert alert) => new(OpenedRecordKind.Fault, 0, Alert: alert);

    /// <summary>Whether a record is refused before all of it has come, and before it is decrypted.</summary>
    private static TlsAlert? RefuseHeader(SecurityParameters parameters, ReadOnlySpan<byte> header, int fragmentBytes)
    {
        // In TLS 1.3 all records have this type on the outside, and the version is not looked at, but authenticated (RFC 8446, section 5.2). So
        // change_cipher_spec, too, is "an unexpected record type" behind the handshake (section 5).
        TlsContentType type = (TlsContentType)header[0];
        if (parameters.IsTls13)
        {
            if (type != TlsContentType.ApplicationData) return TlsAlert.UnexpectedMessage;
        }
        else
        {
            if (type is not (TlsContentType.ApplicationData or TlsContentType.Alert or TlsContentType.Handshake)) return TlsAlert.UnexpectedMessage;
            if (!header[1..3].SequenceEqual(Version12)) return TlsAlert.ProtocolVersion;
        }

        if (fragmentBytes > parameters.MaxFragmentBytes) return TlsAlert.RecordOverflow;

        // No tag fits in.
        return fragmentBytes < parameters.Expansion ? TlsAlert.BadRecordMac : null;
    }

    private static OpenedRecord Handle(ref TlsConnectionState state, TlsContentType type, ReadOnlySpan<byte> content)
    {
        if (state.Message.HasBegun && type != TlsContentType.Handshake) return Fault(TlsAlert.UnexpectedMessage);
        return type switch
        {
            TlsContentType.ApplicationData when content.IsEmpty => new(OpenedRecordKind.Nothing, 0),
            TlsContentType.ApplicationData => new(OpenedRecordKind.Data, 0, DataLength: content.Length),
            TlsContentType.Alert => HandleAlert(ref state, content),
            TlsContentType.Handshake => state.Parameters.IsTls13 ? HandleMessages(ref state, content) : RefuseHandshake(state.IsServer, content),
            _ => Fault(TlsAlert.UnexpectedMessage),
        };
    }

    private static OpenedRecord HandleMessages(ref TlsConnectionState state, ReadOnlySpan<byte> content)
    {
        PostHandshakeMessage.Result result = state.Message.Read(content, state.IsServer);
        if (result.Alert is { } alert) return Fault(alert);
        if (result.UpdatesKey) state.Read.Update(state.Parameters.Algorithm);
        return new OpenedRecord(result.AsksForKeyUpdate ? OpenedRecordKind.KeyUpdateRequested : OpenedRecordKind.Nothing, 0);
    }

    /// <summary>TLS 1.2: whoever asks for another handshake gets <c>no_renegotiation</c> (RFC 5246, section 7.2.2), and no second chance.</summary>
    private static OpenedRecord RefuseHandshake(bool isServer, ReadOnlySpan<byte> content) =>
        Fault(!content.IsEmpty && content[0] == (isServer ? ClientHello : HelloRequest) ? TlsAlert.NoRenegotiation : TlsAlert.UnexpectedMessage);

    private static OpenedRecord HandleAlert(ref TlsConnectionState state, ReadOnlySpan<byte> content)
    {
        // "A record with an Alert type MUST contain exactly one message" (RFC 8446, section 5.1). TLS 1.2 would allow others; nobody sends them.
        if (content.Length != AlertBytes) return Fault(content.IsEmpty ? TlsAlert.UnexpectedMessage : TlsAlert.DecodeError);
        (byte level, TlsAlert alert) = (content[0], (TlsAlert)content[1]);

        // In TLS 1.3 an alert's level says nothing: all are fatal but these two (RFC 8446, section 6).
        if (state.Parameters.IsTls13) level = alert is TlsAlert.CloseNotify or TlsAlert.UserCanceled ? Warning : Fatal;
        if (level == Fatal) return new OpenedRecord(OpenedRecordKind.FatalAlert, 0, Alert: alert);
        if (level != Warning) return Fault(TlsAlert.IllegalParameter);
        if (alert != TlsAlert.CloseNotify) return new OpenedRecord(OpenedRecordKind.Nothing, 0);
        state.EndRead();
        return new OpenedRecord(OpenedRecordKind.Ended, 0);
    }
}
