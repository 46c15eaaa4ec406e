using System.Buffers.Binary;

namespace Megaphone.Tls;

/// <summary>Where a TLS record ends (RFC 8446, section 5.1; RFC 5246, section 6.2). Nothing else of it is read here. Pure.</summary>
internal static class TlsRecord
{
    /// <summary>Type, version and length.</summary>
    public const int HeaderBytes = 5;

    /// <summary>The longest record that is waited for: 2^14 bytes, and what TLS 1.2 allows its encryption to add.</summary>
    public const int MaxBytes = HeaderBytes + (1 << 14) + 2048;

    /// <summary>Type of a record that holds handshake messages. With TLS 1.3 it is inside the encryption.</summary>
    public const byte Handshake = 22;

    private const byte MajorVersion = 3;

    /// <summary>Finds the first record.</summary>
    /// <param name="received">What has come, from the beginning of a record on.</param>
    /// <returns>The bytes of the record, or of its header where no version of TLS has such a one, so that it can be refused without
    /// waiting for the rest; 0 when it has not come whole.</returns>
    public static int Measure(ReadOnlySpan<byte> received)
    {
        if (received.Length < HeaderBytes) return 0;
        int length = LengthOf(received);
        if (received[1] != MajorVersion || length > MaxBytes) return HeaderBytes;
        return length <= received.Length ? length : 0;
    }

    /// <summary>The bytes of the first record, as its header has them; of a header while it has not come whole.</summary>
    public static int LengthOf(ReadOnlySpan<byte> received) =>
        received.Length < HeaderBytes ? HeaderBytes : HeaderBytes + BinaryPrimitives.ReadUInt16BigEndian(received[3..]);
}
