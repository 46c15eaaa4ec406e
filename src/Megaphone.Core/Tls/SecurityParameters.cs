using System.Buffers.Binary;

namespace Megaphone.Tls;

/// <summary>What a handshake has agreed on for its records (RFC 5246, section 6.1), and the lengths that follow from it. One byte.</summary>
internal readonly record struct SecurityParameters
{
    private const byte Tls13 = 0x80;

    private readonly byte _value;

    /// <summary>Makes it.</summary>
    /// <param name="isTls13">TLS 1.3; else it is TLS 1.2.</param>
    /// <param name="algorithm">What they are protected with.</param>
    public SecurityParameters(bool isTls13, AeadAlgorithm algorithm) => _value = (byte)((byte)algorithm | (isTls13 ? Tls13 : 0));

    /// <summary>TLS 1.3; else it is TLS 1.2.</summary>
    public bool IsTls13 => (_value & Tls13) != 0;

    /// <summary>The version of TLS, as OpenSSL writes it.</summary>
    public string Version => IsTls13 ? "TLSv1.3" : "TLSv1.2";

    /// <summary>What records are protected with.</summary>
    public AeadAlgorithm Algorithm => (AeadAlgorithm)(_value & ~Tls13);

    /// <summary>The longest content of a record (RFC 8446, section 5.1; RFC 5246, section 6.2.1).</summary>
    public const int MaxContentBytes = 1 << 14;

    /// <summary>The most bytes that are authenticated beside a record's content.</summary>
    public const int MaxAdditionalBytes = 13;

    /// <summary>Bytes of the nonce that stand in front of what is encrypted: only AES-GCM in TLS 1.2 has any (RFC 5288, section 3).</summary>
    public int ExplicitNonceBytes => !IsTls13 && Algorithm.IsGcm() ? 8 : 0;

    /// <summary>Bytes behind the content: the tag, and in TLS 1.3 the content type (RFC 8446, section 5.2).</summary>
    public int BytesBehind => AeadAlgorithms.TagBytes + (IsTls13 ? 1 : 0);

    /// <summary>Bytes of a record, its header not among them, that has no content.</summary>
    public int Expansion => ExplicitNonceBytes + BytesBehind;

    /// <summary>
    /// The most bytes that a record may have behind its header. In TLS 1.3 2^14 + 256, padding among them (RFC 8446, section 5.2). TLS 1.2
    /// allows 2^14 + 2048 (RFC 5246, section 6.2.3); but these algorithms add a known number, so what would turn out to have more than 2^14
    /// bytes of content is refused by its header, with the same alert.
    /// </summary>
    public int MaxFragmentBytes => MaxContentBytes + (IsTls13 ? 256 : Expansion);

    /// <summary>What is authenticated beside a record's content.</summary>
    /// <param name="sequence">The record's number.</param>
    /// <param name="header">Its header.</param>
    /// <param name="contentBytes">Bytes of what is encrypted.</param>
    /// <param name="into">Where it goes, if it is not the header itself; at least <see cref="MaxAdditionalBytes"/>.</param>
    public ReadOnlySpan<byte> AdditionalData(ulong sequence, ReadOnlySpan<byte> header, int contentBytes, Span<byte> into)
    {
        // TLSCiphertext.opaque_type || legacy_record_version || length (RFC 8446, section 5.2)
        if (IsTls13) return header;

        // seq_num + TLSCompressed.type + TLSCompressed.version + TLSCompressed.length (RFC 5246, section 6.2.3.3)
        BinaryPrimitives.WriteUInt64BigEndian(into, sequence);
        header[..3].CopyTo(into[8..]);
        BinaryPrimitives.WriteUInt16BigEndian(into[11..], (ushort)contentBytes);
        return into[..MaxAdditionalBytes];
    }
}
