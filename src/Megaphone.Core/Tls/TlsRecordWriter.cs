using System.Diagnostics;

namespace Megaphone.Tls;

/// <summary>
/// Seals, in place, what is sent behind the handshake: data, key updates, and the alert that ends it. Does no I/O; touches the writer's side of
/// a <see cref="TlsConnectionState"/>.
/// </summary>
/// <remarks>What has been sealed has to be sent, whole and in the order in which it was sealed: to the peer, a missing record is an attack.</remarks>
internal static class TlsRecordWriter
{
    /// <summary>Bytes that <see cref="Seal"/> wants in front of the content: for a key update, and the record's header.</summary>
    public const int BytesBefore = KeyUpdateBytes + TlsRecord.HeaderBytes;

    /// <summary>Bytes that it wants behind it, for the tag and in TLS 1.3 the content type.</summary>
    public const int BytesAfter = AeadAlgorithms.TagBytes + 1;

    /// <summary>Bytes of a record with a key update.</summary>
    public const int KeyUpdateBytes = TlsRecord.HeaderBytes + 5 + BytesAfter;

    /// <summary>The most bytes that <see cref="SealEnd"/> makes: two alerts of TLS 1.2, with explicit nonces.</summary>
    public const int MaxEndBytes = 2 * (TlsRecord.HeaderBytes + 8 + AlertBytes + AeadAlgorithms.TagBytes);

    private const int AlertBytes = 2;
    private const byte Warning = 1;
    private const byte Fatal = 2;

    /// <summary>
    /// Seals application data as one record; where the key has to be updated first (<see cref="TlsConnectionState.MustUpdateKey"/>), with a record
    /// that says so in front: "prior to sending its next Application Data record" (RFC 8446, section 4.6.3).
    /// </summary>
    /// <param name="state">The connection.</param>
    /// <param name="buffer"><see cref="BytesBefore"/> bytes, the content, of which there are at least one and at most
    /// <see cref="SecurityParameters.MaxContentBytes"/> bytes, and <see cref="BytesAfter"/> bytes.</param>
    /// <returns>What is to be sent: a part of the buffer.</returns>
    /// <exception cref="InvalidOperationException">The direction has ended.</exception>
    public static ReadOnlySpan<byte> Seal(ref TlsConnectionState state, Span<byte> buffer)
    {
        int contentBytes = buffer.Length - BytesBefore - BytesAfter;
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(contentBytes, nameof(buffer));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(contentBytes, SecurityParameters.MaxContentBytes, nameof(buffer));
        int keyUpdate = state.MustUpdateKey ? SealKeyUpdate(ref state, buffer).Length : 0;
        int start = BytesBefore - TlsRecord.HeaderBytes - state.Parameters.ExplicitNonceBytes;
        int count = SealRecord(ref state, TlsContentType.ApplicationData, buffer[start..], contentBytes);
        return buffer.Slice(start - keyUpdate, keyUpdate + count);
    }

    /// <summary>Seals a key update by itself: the answer to a peer to which nothing else is to be sent.</summary>
    /// <param name="state">The connection, of TLS 1.3.</param>
    /// <param name="buffer">At least <see cref="KeyUpdateBytes"/> bytes.</param>
    /// <returns>What is to be sent: a part of the buffer.</returns>
    /// <exception cref="InvalidOperationException">The direction has ended.</exception>
    public static ReadOnlySpan<byte> SealKeyUpdate(ref TlsConnectionState state, Span<byte> buffer)
    {
        Debug.Assert(state.Parameters.IsTls13, "TLS 1.2 has no key updates.");

        // type key_update, uint24 length, update_not_requested
        ReadOnlySpan<byte> message = [24, 0, 0, 1, 0];
        message.CopyTo(buffer[TlsRecord.HeaderBytes..]);
        int count = SealRecord(ref state, TlsContentType.Handshake, buffer, message.Length);
        state.UpdateWriteKey();
        return buffer[..count];
    }

    /// <summary>
    /// Seals what ends our direction: <c>close_notify</c>, or a fatal alert (RFC 8446, section 6.2); with <see cref="TlsAlert.NoRenegotiation"/>,
    /// which is only a warning, <c>close_notify</c> behind it.
    /// </summary>
    /// <param name="state">The connection.</param>
    /// <param name="alert">Why.</param>
    /// <param name="buffer">At least <see cref="MaxEndBytes"/> bytes.</param>
    /// <returns>What is to be sent: a part of the buffer.</returns>
    /// <exception cref="InvalidOperationException">The direction has ended.</exception>
    public static ReadOnlySpan<byte> SealEnd(ref TlsConnectionState state, TlsAlert alert, Span<byte> buffer)
    {
        int count = 0;
        if (alert == TlsAlert.NoRenegotiation)
        {
            count = SealAlert(ref state, Warning, alert, buffer);
            alert = TlsAlert.CloseNotify;
        }

        count += SealAlert(ref state, alert == TlsAlert.CloseNotify ? Warning : Fatal, alert, buffer[count..]);
        state.EndWrite();
        return buffer[..count];
    }

    private static int SealAlert(ref TlsConnectionState state, byte level, TlsAlert alert, Span<byte> buffer)
    {
        Span<byte> content = buffer[(TlsRecord.HeaderBytes + state.Parameters.ExplicitNonceBytes)..];
        (content[0], content[1]) = (level, (byte)alert);
        return SealRecord(ref state, TlsContentType.Alert, buffer, AlertBytes);
    }

    private static int SealRecord(ref TlsConnectionState state, TlsContentType type, Span<byte> record, int contentBytes)
    {
        if (state.WriteEnded) throw new InvalidOperationException("Nothing may follow the alert that has ended this direction.");
        return RecordProtection.Seal(state.Parameters, ref state.Write, type, record, contentBytes);
    }
}
