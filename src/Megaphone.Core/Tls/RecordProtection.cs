using System.Buffers.Binary;

namespace Megaphone.Tls;

/// <summary>Record protection, in place: RFC 8446, section 5.2; RFC 5246, section 6.2.3.3, with RFC 5288 or 7905.</summary>
internal static class RecordProtection
{
    /// <summary>Seals a record, and counts it.</summary>
    /// <param name="parameters">How.</param>
    /// <param name="keys">The writer's.</param>
    /// <param name="type">What the content is.</param>
    /// <param name="record">The content lies in it where it belongs: behind the header, and the explicit nonce if there is one.</param>
    /// <param name="contentBytes">Bytes of the content.</param>
    /// <returns>Bytes of the record.</returns>
    /// <exception cref="InvalidOperationException">There are no sequence numbers left.</exception>
    public static int Seal(SecurityParameters parameters, ref TrafficKeys keys, TlsContentType type, Span<byte> record, int contentBytes)
    {
        // "Sequence numbers do not wrap" (RFC 5246, section 6.1; RFC 8446, section 5.3). The last one is not used, so that they never do.
        if (keys.Sequence == ulong.MaxValue) throw new InvalidOperationException("There are no sequence numbers left for this key.");
        int start = TlsRecord.HeaderBytes + parameters.ExplicitNonceBytes;
        if (parameters.IsTls13)
        {
            // TLSInnerPlaintext: content, type, and no padding.
            record[start + contentBytes++] = (byte)type;
            type = TlsContentType.ApplicationData;
        }

        int end = start + contentBytes + AeadAlgorithms.TagBytes;
        Span<byte> header = record[..TlsRecord.HeaderBytes];
        (header[0], header[1], header[2]) = ((byte)type, 3, 3);
        BinaryPrimitives.WriteUInt16BigEndian(header[3..], (ushort)(end - TlsRecord.HeaderBytes));

        Span<byte> nonce = stackalloc byte[AeadAlgorithms.NonceBytes];
        keys.CopyNonce(parameters, nonce);
        nonce[^parameters.ExplicitNonceBytes..].CopyTo(record[TlsRecord.HeaderBytes..]);
        Span<byte> memory = stackalloc byte[SecurityParameters.MaxAdditionalBytes];
        ReadOnlySpan<byte> additional = parameters.AdditionalData(keys.Sequence, header, contentBytes, memory);
        AeadCipher cipher = AeadCipher.ForRecord(parameters, encrypts: true, ref keys, nonce);
        cipher.Seal(additional, record.Slice(start, contentBytes), record.Slice(start + contentBytes, AeadAlgorithms.TagBytes));
        keys.Sequence++;
        return end;
    }

    /// <summary>Opens a record, and counts it.</summary>
    /// <param name="parameters">How.</param>
    /// <param name="keys">The reader's.</param>
    /// <param name="record">All of it, whose length has been found right. The content is decrypted where it lies.</param>
    /// <param name="type">What the content is.</param>
    /// <param name="content">The content: a part of the record.</param>
    /// <returns>Why it is refused; null: it is what its sender has sealed.</returns>
    public static TlsAlert? Open(
        SecurityParameters parameters, ref TrafficKeys keys, Span<byte> record, out TlsContentType type, out Span<byte> content)
    {
        Span<byte> header = record[..TlsRecord.HeaderBytes];
        Span<byte> explicitNonce = record.Slice(TlsRecord.HeaderBytes, parameters.ExplicitNonceBytes);
        type = (TlsContentType)header[0];
        content = record[(TlsRecord.HeaderBytes + explicitNonce.Length)..^AeadAlgorithms.TagBytes];

        // Sequence numbers must not wrap. The peer, whose they are, has had its time to see to that.
        if (keys.Sequence == ulong.MaxValue) return TlsAlert.InternalError;

        // How its explicit nonces count is up to the sender (RFC 5288, section 3).
        Span<byte> nonce = stackalloc byte[AeadAlgorithms.NonceBytes];
        keys.CopyNonce(parameters, nonce);
        explicitNonce.CopyTo(nonce[(nonce.Length - explicitNonce.Length)..]);
        Span<byte> memory = stackalloc byte[SecurityParameters.MaxAdditionalBytes];
        ReadOnlySpan<byte> additional = parameters.AdditionalData(keys.Sequence, header, content.Length, memory);
        AeadCipher cipher = AeadCipher.ForRecord(parameters, encrypts: false, ref keys, nonce);
        if (!cipher.TryOpen(additional, content, record[^AeadAlgorithms.TagBytes..])) return TlsAlert.BadRecordMac;
        keys.Sequence++;

        if (parameters.IsTls13)
        {
            // TLSInnerPlaintext: content, type, zeros. If there is nothing but zeros, the receiver "MUST terminate the connection with an
            // "unexpected_message" alert" (RFC 8446, section 5.4).
            int last = content.LastIndexOfAnyExcept((byte)0);
            if (last < 0) return TlsAlert.UnexpectedMessage;
            type = (TlsContentType)content[last];
            content = content[..last];
        }

        return content.Length > SecurityParameters.MaxContentBytes ? TlsAlert.RecordOverflow : null;
    }
}
